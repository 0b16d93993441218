package nexmark;

import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.format.DateTimeFormatter;

import org.apache.flink.table.data.RowData;

/** Events as CSV, byte for byte as Weir writes them: no text of Nexmark's needs quotation marks. */
final class EventFiles {
    static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSS");
    private static final String PERSON =
            "id,name,emailAddress,creditCard,city,state,dateTime,extra";
    private static final String AUCTION =
            "id,itemName,description,initialBid,reserve,dateTime,expires,seller,category,extra";
    private static final String BID = "auction,bidder,price,channel,url,dateTime,extra";

    private EventFiles() {}

    /** Writes person.csv, auction.csv and bid.csv. */
    static void write(Path directory, Generator generator) throws IOException {
        Files.createDirectories(directory);
        try (Writer persons = open(directory.resolve("person.csv"), PERSON);
                Writer auctions = open(directory.resolve("auction.csv"), AUCTION);
                Writer bids = open(directory.resolve("bid.csv"), BID)) {
            while (generator.hasNext()) {
                RowData event = generator.next();
                switch (event.getInt(0)) {
                    case 0 -> write(persons, event.getRow(1, 8), "lsssssts");
                    case 1 -> write(auctions, event.getRow(2, 10), "lssllttlls");
                    default -> write(bids, event.getRow(3, 7), "lllssts");
                }
            }
        }
    }

    private static Writer open(Path path, String header) throws IOException {
        Writer writer = Files.newBufferedWriter(path);
        writer.write(header + "\n");
        return writer;
    }

    /** Writes a row of numbers (l), texts (s) and times (t). */
    private static void write(Writer writer, RowData row, String types) throws IOException {
        for (int field = 0; field < types.length(); field++) {
            writer.write(field == 0 ? "" : ",");
            writer.write(switch (types.charAt(field)) {
                case 'l' -> Long.toString(row.getLong(field));
                case 's' -> row.getString(field).toString();
                default -> TIME.format(row.getTimestamp(field, 3).toLocalDateTime());
            });
        }
        writer.write("\n");
    }
}
