package nexmark;

import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;

/**
 * Makes the events of Nexmark as rows: the kind (0 person, 1 auction, 2 bid), then the person, the
 * auction and the bid, two of which are null.
 *
 * <p>With one part the events are those of Weir's generator. Of several parts each makes its own
 * range of numbers on the same time line, as the reference does.
 */
final class Generator {
    /** 2026-01-01 00:00:00 in milliseconds. */
    private static final long BASE_TIME = 1_767_225_600_000L;
    private static final long FIRST = 1_000;
    private static final long HOT_BATCH = 100;

    private final SplitMix random;
    private final Vocabulary vocabulary;
    private final double delay;
    private final long firstNumber;
    private final long count;
    private long made;

    Generator(long events, long rate, long seed, int part, int parts) {
        random = new SplitMix(seed);
        vocabulary = new Vocabulary(random);
        random.state += part;
        delay = 1e6 / rate * parts;
        long share = events / parts;
        long rest = events % parts;
        firstNumber = part * share + Math.min(part, rest);
        count = share + (part < rest ? 1 : 0);
    }

    boolean hasNext() {
        return made < count;
    }

    GenericRowData next() {
        long number = firstNumber + made;
        long time = time(made);
        long place = number % 50;
        GenericRowData event = new GenericRowData(4);
        if (place < 1) {
            event.setField(0, 0);
            event.setField(1, person(number, time));
        } else if (place < 4) {
            event.setField(0, 1);
            event.setField(2, auction(number, time));
        } else {
            event.setField(0, 2);
            event.setField(3, bid(number, time));
        }
        made++;
        return event;
    }

    private long time(long index) {
        return BASE_TIME + (long) (index * delay) / 1_000;
    }

    private static long lastPerson(long number) {
        return number / 50;
    }

    private static long lastAuction(long number) {
        long epoch = number / 50;
        long offset = number % 50;
        if (offset < 1) {
            return (epoch - 1) * 3 + 2;
        }
        return epoch * 3 + (offset >= 4 ? 2 : offset - 1);
    }

    private long randomPerson(long number) {
        long people = lastPerson(number) + 1;
        long active = Math.min(people, 1_000);
        return people - active + random.below(active + 10);
    }

    private long randomAuction(long number) {
        long last = lastAuction(number);
        long least = Math.max(last - 100, 0);
        return least + random.below(last - least + 1 + 10);
    }

    /** Fills an event up to its average size, more or less. */
    private StringData extra(int current, int average) {
        if (current > average) {
            return BinaryStringData.EMPTY_UTF8;
        }
        int missing = average - current;
        int delta = (int) Math.round(missing * 0.2);
        int length = missing - delta + (delta == 0 ? 0 : random.below(2 * delta));
        return vocabulary.piece(random.below(Vocabulary.LETTERS - length), length);
    }

    private GenericRowData person(long number, long time) {
        BinaryStringData name = vocabulary.names[random.below(11) * 9 + random.below(9)];
        byte[] user = random.letters(7, ' ');
        byte[] host = random.letters(5, ' ');
        byte[] email = new byte[user.length + host.length + 5];
        System.arraycopy(user, 0, email, 0, user.length);
        email[user.length] = '@';
        System.arraycopy(host, 0, email, user.length + 1, host.length);
        System.arraycopy(DOT_COM, 0, email, email.length - 4, 4);
        byte[] card = new byte[19];
        for (int group = 0; group < 4; group++) {
            int digits = random.below(10_000);
            for (int place = 3; place >= 0; place--) {
                card[group * 5 + place] = (byte) ('0' + digits % 10);
                digits /= 10;
            }
            if (group < 3) {
                card[group * 5 + 4] = ' ';
            }
        }
        BinaryStringData city = vocabulary.cities[random.below(10)];
        BinaryStringData state = vocabulary.states[random.below(6)];
        int size = 8 + name.getSizeInBytes() + email.length + card.length
                + city.getSizeInBytes() + state.getSizeInBytes();
        return GenericRowData.of(
                lastPerson(number) + FIRST, name, BinaryStringData.fromBytes(email),
                BinaryStringData.fromBytes(card), city, state,
                TimestampData.fromEpochMillis(time), extra(size, 200));
    }

    private static final byte[] DOT_COM = {'.', 'c', 'o', 'm'};

    private GenericRowData auction(long number, long time) {
        long seller = random.below(4) > 0
                ? lastPerson(number) / HOT_BATCH * HOT_BATCH : randomPerson(number);
        long category = 10 + random.below(5);
        long initialBid = random.price();
        long horizon = time(made + 100 * 50 / 3) - time;
        long expires = time + 1 + random.below(Math.max(2 * horizon, 1));
        byte[] itemName = random.letters(20, ' ');
        byte[] description = random.letters(100, ' ');
        long reserve = initialBid + random.price();
        return GenericRowData.of(
                lastAuction(number) + FIRST, BinaryStringData.fromBytes(itemName),
                BinaryStringData.fromBytes(description), initialBid, reserve,
                TimestampData.fromEpochMillis(time), TimestampData.fromEpochMillis(expires),
                seller + FIRST, category, extra(48 + itemName.length + description.length, 500));
    }

    private GenericRowData bid(long number, long time) {
        long auction = random.below(2) > 0
                ? lastAuction(number) / HOT_BATCH * HOT_BATCH : randomAuction(number);
        long bidder = random.below(4) > 0
                ? lastPerson(number) / HOT_BATCH * HOT_BATCH + 1 : randomPerson(number);
        long price = random.price();
        int channel = random.below(2) > 0 ? random.below(4) : 4 + random.below(10_000);
        // The bidder has the first id twice, as in the reference.
        return GenericRowData.of(
                auction + FIRST, bidder + 2 * FIRST, price, vocabulary.channels[channel],
                vocabulary.urls[channel], TimestampData.fromEpochMillis(time), extra(32, 100));
    }
}
