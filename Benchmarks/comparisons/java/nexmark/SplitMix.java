package nexmark;

/** SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) with the draws that Nexmark makes. */
final class SplitMix {
    long state;

    SplitMix(long seed) {
        state = seed;
    }

    long next() {
        state += 0x9E3779B97F4A7C15L;
        long z = state;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    /** A number from 0 up to, but not, the bound: the upper half of the unsigned product. */
    long below(long bound) {
        long bits = next();
        return Math.multiplyHigh(bits, bound) + ((bits >> 63) & bound);
    }

    int below(int bound) {
        return (int) below((long) bound);
    }

    double unit() {
        return (next() >>> 11) * 0x1p-53;
    }

    /** Log-uniform from 100 to 100,000,000. */
    long price() {
        return Math.round(Math.pow(10, unit() * 6) * 100);
    }

    /** Letters, now and then a special character; spaces at the ends are cut off. */
    byte[] letters(int longest, char special) {
        int length = 3 + below(longest - 3);
        byte[] text = new byte[length];
        for (int index = 0; index < length; index++) {
            text[index] = below(13) == 0 ? (byte) special : (byte) ('a' + below(26));
        }
        int start = 0;
        int end = length;
        while (start < end && text[start] == ' ') {
            start++;
        }
        while (end > start && text[end - 1] == ' ') {
            end--;
        }
        return start == 0 && end == length ? text : java.util.Arrays.copyOfRange(text, start, end);
    }
}
