package nexmark;

import java.nio.charset.StandardCharsets;

import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** The texts that events are made of, in Flink's own form, so that no event encodes any. */
final class Vocabulary {
    static final int LETTERS = 1 << 20;
    private static final String[] FIRST_NAMES = {
        "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter",
        "Walter"
    };
    private static final String[] LAST_NAMES = {
        "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"
    };

    /** Of all first names with all last names. */
    final BinaryStringData[] names = new BinaryStringData[99];
    final BinaryStringData[] cities = texts(
            "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond",
            "Seattle", "Kent", "Cheyenne");
    final BinaryStringData[] states = texts("AZ", "CA", "ID", "OR", "WA", "WY");
    /** Four hot channels, then 10,000 others, each with its address. */
    final StringData[] channels = new StringData[10_004];
    final StringData[] urls = new StringData[10_004];
    private final byte[] letters = new byte[LETTERS];

    Vocabulary(SplitMix random) {
        for (int first = 0; first < 11; first++) {
            for (int last = 0; last < 9; last++) {
                names[first * 9 + last] = text(FIRST_NAMES[first] + " " + LAST_NAMES[last]);
            }
        }
        for (int index = 0; index < LETTERS; index++) {
            letters[index] = (byte) ('a' + random.below(26));
        }
        String[] hot = {"Google", "Facebook", "Baidu", "Apple"};
        for (int number = 0; number < 4; number++) {
            channels[number] = text(hot[number]);
            urls[number] = text(address(random));
        }
        for (int number = 0; number < 10_000; number++) {
            String url = address(random);
            if (random.below(10) > 0) {
                // Java's abs leaves the least number as it is, as the reference does.
                url += "&channel_id=" + Math.abs(Integer.reverse(number));
            }
            channels[4 + number] = text("channel-" + number);
            urls[4 + number] = text(url);
        }
    }

    /** A piece of the letters; nothing is copied. */
    BinaryStringData piece(int offset, int length) {
        return BinaryStringData.fromBytes(letters, offset, length);
    }

    private static String address(SplitMix random) {
        StringBuilder url = new StringBuilder("https://www.nexmark.com/");
        for (int part = 0; part < 3; part++) {
            url.append(new String(random.letters(5, '_'), StandardCharsets.US_ASCII)).append('/');
        }
        return url.append("item.htm?query=1").toString();
    }

    private static BinaryStringData text(String string) {
        return BinaryStringData.fromBytes(string.getBytes(StandardCharsets.UTF_8));
    }

    private static BinaryStringData[] texts(String... strings) {
        BinaryStringData[] texts = new BinaryStringData[strings.length];
        for (int index = 0; index < strings.length; index++) {
            texts[index] = text(strings[index]);
        }
        return texts;
    }
}
