package nexmark;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;
import org.apache.flink.util.Collector;

/** The rows of a result that are left after all its changes, of the one job that runs. */
final class FinalRows {
    /** How often each row is there. All texts are ASCII: their order is that of their bytes. */
    private static final Map<String, Integer> LEFT = new TreeMap<>();

    private FinalRows() {}

    static void clear() {
        synchronized (LEFT) {
            LEFT.clear();
        }
    }

    static void write(Path path, List<String> columns) throws IOException {
        List<String> lines = new ArrayList<>();
        lines.add(String.join(",", columns));
        synchronized (LEFT) {
            LEFT.forEach((line, count) -> {
                for (int index = 0; index < count; index++) {
                    lines.add(line);
                }
            });
        }
        Files.write(path, lines);
    }

    /** The end of a job's stream of changes; the job has one of it. */
    static final class Changes extends ProcessFunction<Row, Row> {
        private static final long serialVersionUID = 1;

        @Override
        public void processElement(Row row, Context context, Collector<Row> output) {
            RowKind kind = row.getKind();
            int change = kind == RowKind.INSERT || kind == RowKind.UPDATE_AFTER ? 1 : -1;
            synchronized (LEFT) {
                LEFT.merge(line(row), change, Integer::sum);
            }
        }

        private static String line(Row row) {
            StringBuilder line = new StringBuilder();
            for (int field = 0; field < row.getArity(); field++) {
                line.append(field == 0 ? "" : ",");
                Object value = row.getField(field);
                if (value instanceof LocalDateTime time) {
                    line.append(EventFiles.TIME.format(time));
                } else if (value instanceof BigDecimal number) {
                    line.append(number.toPlainString());
                } else {
                    line.append(value);
                }
            }
            return line.toString();
        }
    }
}
