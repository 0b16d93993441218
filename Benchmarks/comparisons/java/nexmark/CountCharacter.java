package nexmark;

import org.apache.flink.table.functions.ScalarFunction;

/** How often a character is in a text: q14's function of the user. */
public final class CountCharacter extends ScalarFunction {
    private static final long serialVersionUID = 1;

    public long eval(String text, String character) {
        if (text == null || character == null) {
            return 0;
        }
        char wanted = character.charAt(0);
        long count = 0;
        for (int index = 0; index < text.length(); index++) {
            if (text.charAt(index) == wanted) {
                count++;
            }
        }
        return count;
    }
}
