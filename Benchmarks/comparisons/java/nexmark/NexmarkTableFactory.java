package nexmark;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.LookupTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.SourceProvider;
import org.apache.flink.table.connector.source.lookup.LookupFunctionProvider;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.LookupFunction;

/** The connector {@code nexmark}: the generator as a table to scan, q13's table to look up in. */
public final class NexmarkTableFactory implements DynamicTableSourceFactory {
    static final ConfigOption<Long> EVENTS = ConfigOptions.key("events").longType().noDefaultValue();
    static final ConfigOption<Long> RATE = ConfigOptions.key("rate").longType().noDefaultValue();
    static final ConfigOption<Long> SEED = ConfigOptions.key("seed").longType().noDefaultValue();

    @Override
    public String factoryIdentifier() {
        return "nexmark";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(EVENTS, RATE, SEED);
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        helper.validate();
        if (helper.getOptions().getOptional(EVENTS).isEmpty()) {
            return new SideInput();
        }
        return new Events(
                helper.getOptions().get(EVENTS), helper.getOptions().get(RATE),
                helper.getOptions().get(SEED));
    }

    private record Events(long events, long rate, long seed) implements ScanTableSource {
        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }

        @Override
        public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            return SourceProvider.of(new GeneratorSource(events, rate, seed));
        }

        @Override
        public DynamicTableSource copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "Nexmark";
        }
    }

    private record SideInput() implements LookupTableSource {
        @Override
        public LookupRuntimeProvider getLookupRuntimeProvider(LookupContext context) {
            return LookupFunctionProvider.of(new SideInputLookup());
        }

        @Override
        public DynamicTableSource copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "SideInput";
        }
    }

    /** 10,000 keys, each with itself as a text, in memory. */
    public static final class SideInputLookup extends LookupFunction {
        private static final long serialVersionUID = 1;
        private transient Map<Long, List<RowData>> rows;

        @Override
        public void open(FunctionContext context) {
            rows = new HashMap<>();
            for (long key = 0; key < 10_000; key++) {
                RowData row = GenericRowData.of(key, StringData.fromString(Long.toString(key)));
                rows.put(key, List.of(row));
            }
        }

        @Override
        public List<RowData> lookup(RowData key) {
            return rows.getOrDefault(key.getLong(0), List.of());
        }
    }
}
