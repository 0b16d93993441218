package nexmark;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.TableDescriptor;
import org.apache.flink.table.api.bridge.java.StreamStatementSet;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/**
 * Flink's side of the comparison. The arguments are {@code key=value}; {@code do} says what:
 *
 * <ul>
 *   <li>{@code events}: writes the generator's events as three CSV files into {@code out};
 *   <li>{@code result}: writes the final results of queries as CSV into the directory {@code out};
 *   <li>{@code measure}: runs a query once for each line of the standard input, which is a number
 *       of events, and answers each with a line {@code wall-seconds cpu-seconds}.
 * </ul>
 */
public final class Comparison {
    private final Map<String, String> settings = new HashMap<>();
    private final Map<String, String> statements;

    private Comparison(String[] arguments) throws IOException {
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        statements = statements(Path.of(settings.get("queries")));
    }

    public static void main(String[] arguments) throws Exception {
        Comparison comparison = new Comparison(arguments);
        switch (comparison.settings.get("do")) {
            case "events" -> EventFiles.write(
                    Path.of(comparison.settings.get("out")),
                    new Generator(
                            comparison.number("events"), comparison.number("rate"),
                            comparison.number("seed"), 0, 1));
            case "result" -> comparison.result();
            case "measure" -> comparison.measure();
            default -> throw new IllegalArgumentException("do=events, result or measure");
        }
    }

    private long number(String name) {
        return Long.parseLong(settings.get(name));
    }

    /** The parts of a file, each behind a line {@code -- name:}. */
    private static Map<String, String> statements(Path path) throws IOException {
        Map<String, String> statements = new LinkedHashMap<>();
        String name = "";
        for (String line : Files.readAllLines(path)) {
            if (line.startsWith("-- ") && line.indexOf(':') > 0) {
                name = line.substring(3, line.indexOf(':'));
            } else if (!line.startsWith("--")) {
                statements.merge(name, line + "\n", String::concat);
            }
        }
        return statements;
    }

    private Configuration configuration() {
        Configuration configuration = new Configuration();
        configuration.setString("parallelism.default", settings.get("parallelism"));
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("state.backend.type", "hashmap");
        configuration.setString("table.local-time-zone", "UTC");
        settings.forEach((name, value) -> {
            if (name.startsWith("flink.")) {
                configuration.setString(name.substring("flink.".length()), value);
            }
        });
        return configuration;
    }

    /** The query as a table of an environment of its own. */
    private StreamTableEnvironment tables(StreamExecutionEnvironment environment, long events) {
        StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
        tables.createTemporarySystemFunction("count_character", CountCharacter.class);
        String setup = statements.get("tables")
                .replace("$events", Long.toString(events))
                .replace("$rate", settings.get("rate"))
                .replace("$seed", settings.get("seed"));
        for (String statement : setup.split(";\\s*")) {
            if (!statement.isBlank()) {
                tables.executeSql(statement);
            }
        }
        return tables;
    }

    private String statement(String query) {
        return statements.get(query).strip().replaceAll(";$", "");
    }

    private void result() throws Exception {
        try (MiniCluster cluster = cluster()) {
            for (String query : settings.get("query").split(",")) {
                StreamExecutionEnvironment environment = environment();
                StreamTableEnvironment tables = tables(environment, number("events"));
                Table table = tables.sqlQuery(statement(query));
                tables.toChangelogStream(table).process(new FinalRows.Changes())
                        .setParallelism(1).sinkTo(new DiscardingSink<>());
                FinalRows.clear();
                cluster.executeJobBlocking(environment.getStreamGraph().getJobGraph());
                FinalRows.write(
                        Path.of(settings.get("out"), query + ".csv"),
                        table.getResolvedSchema().getColumnNames());
            }
        }
    }

    private void measure() throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        try (MiniCluster cluster = cluster()) {
            System.out.println("ready " + EnvironmentInformation.getVersion());
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                System.out.println(run(cluster, Long.parseLong(line.strip())));
            }
        }
    }

    /** A cluster of this process: one task manager with a slot for each parallel part. */
    private MiniCluster cluster() throws Exception {
        MiniCluster cluster = new MiniCluster(
                new MiniClusterConfiguration.Builder()
                        .setConfiguration(configuration())
                        .setNumTaskManagers(1)
                        .setNumSlotsPerTaskManager((int) number("parallelism"))
                        .withRandomPorts()
                        .build());
        cluster.start();
        return cluster;
    }

    private StreamExecutionEnvironment environment() {
        return StreamExecutionEnvironment.getExecutionEnvironment(configuration());
    }

    /** One job, from its submission to its end; planning it does not count. */
    private String run(MiniCluster cluster, long events) throws Exception {
        StreamExecutionEnvironment environment = environment();
        StreamTableEnvironment tables = tables(environment, events);
        StreamStatementSet inserts = tables.createStatementSet();
        inserts.addInsert(sink(), tables.sqlQuery(statement(settings.get("query"))));
        inserts.attachAsDataStream();
        JobGraph job = environment.getStreamGraph().getJobGraph();
        System.gc();
        var system = (com.sun.management.OperatingSystemMXBean)
                ManagementFactory.getOperatingSystemMXBean();
        long cpu = system.getProcessCpuTime();
        long start = System.nanoTime();
        cluster.executeJobBlocking(job);
        double seconds = (System.nanoTime() - start) / 1e9;
        double cpuSeconds = (system.getProcessCpuTime() - cpu) / 1e9;
        return seconds + " " + cpuSeconds;
    }

    /** Where the results go: nowhere, or for q10 into files by day and minute. */
    private TableDescriptor sink() {
        if (!settings.get("query").equals("q10")) {
            return TableDescriptor.forConnector("blackhole").build();
        }
        return TableDescriptor.forConnector("filesystem")
                .option("path", settings.get("files"))
                .format("csv")
                .partitionedBy("dt", "hm")
                .option("sink.partition-commit.trigger", "partition-time")
                .option("sink.partition-commit.delay", "1 min")
                .option("sink.partition-commit.policy.kind", "success-file")
                .option("partition.time-extractor.timestamp-pattern", "$dt $hm:00")
                .build();
    }
}
