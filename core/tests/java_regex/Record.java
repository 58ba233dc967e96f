import java.io.IOException;
import java.nio.file.*;
import java.util.*;
import java.util.regex.*;

/** Writes what java.util.regex says into cases.tsv: `java Record.java`, in this folder. See ../java_regex.rs. */
class Record {
    public static void main(String[] args) throws IOException {
        Path file = Path.of("cases.tsv");
        List<String> output = new ArrayList<>();
        List<String> texts = List.of();
        for (String line : Files.readAllLines(file)) {
            String[] cells = line.split("\t", -1);
            if (cells[0].equals("texts")) {
                texts = List.of(cells).subList(1, cells.length);
                output.add(line);
            } else {
                output.add(cells[0] + "\t" + verdict(plain(cells[0]), texts));
            }
        }
        Files.write(file, output);
    }

    static String verdict(String pattern, List<String> texts) {
        Pattern compiled;
        try {
            compiled = Pattern.compile(pattern);
        } catch (PatternSyntaxException e) {
            return "invalid";
        }
        List<String> matching = new ArrayList<>();
        for (String text : texts) {
            if (compiled.matcher(plain(text)).matches()) matching.add(text);
        }
        return matching.isEmpty() ? "none" : String.join("\t", matching);
    }

    static String plain(String cell) {
        return cell.replace('␊', '\n').replace('␉', '\t').replace('␠', ' ').replace("∅", "");
    }
}
