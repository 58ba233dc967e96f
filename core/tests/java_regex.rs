//! Patterns of LIKE and UNLIKE mean what they mean in Java.
//!
//! `java_regex/cases.tsv` holds what `java.util.regex` (OpenJDK 17) says: the first line lists texts, every other
//! line a pattern and the texts that it matches as a whole, or `none`, or `invalid`. `Record.java` rewrites it.

use podium_core::model::regex::{JavaRegex, TooComplex};
use proptest::{prop_assert_eq, prop_assume, proptest};

/// What Java knows and we refuse; the module's documentation lists it.
const NOT_SUPPORTED: [&str; 7] =
    [r"\p{javaLowerCase}", r"\X", r"(a)\2", r"(a)\10", r"(?U)\w+", "(?U)a+", "(?<=a+)b"];

/// Invisible characters have stand-ins in the file.
fn plain(cell: &str) -> String {
    cell.replace('␊', "\n").replace('␉', "\t").replace('␠', " ").replace('∅', "")
}

fn verdict(pattern: &str, texts: &[&str]) -> String {
    let Ok(regex) = JavaRegex::new(&plain(pattern)) else {
        return "invalid".to_owned();
    };
    let matching: Vec<_> =
        texts.iter().copied().filter(|text| regex.is_match(&plain(text)) == Ok(true)).collect();
    if matching.is_empty() { "none".to_owned() } else { matching.join("\t") }
}

#[test]
fn patterns_mean_what_they_mean_in_java() {
    let mut lines = include_str!("java_regex/cases.tsv").lines().map(|line| line.split_once('\t').unwrap());
    let texts: Vec<&str> = lines.next().unwrap().1.split('\t').collect();
    let mut different = Vec::new();
    for (pattern, java) in lines {
        let expected = if NOT_SUPPORTED.contains(&pattern) { "invalid" } else { java };
        let ours = verdict(pattern, &texts);
        if ours != expected {
            different.push(format!("{pattern}\n  expected: {expected}\n  ours:     {ours}"));
        }
    }
    assert!(different.is_empty(), "{} patterns differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn hopeless_patterns_are_refused_and_hopeless_matches_given_up() {
    for pattern in [
        "(a{1000}){1000}",
        "(?=(a{1000}){1000})",
        "(?>(a{1000}){1000})b",
        r"(\p{L}{1000}){100}",
        &"(".repeat(2000),
        &("(?:".repeat(1000) + &")".repeat(1000)),
        &("[".repeat(1000) + "a" + &"]".repeat(1000)),
        &"(?i)".repeat(1000),
        &"a".repeat(5000),
        "a{2147483648}",
        "(a{99999999999})",
    ] {
        assert!(JavaRegex::new(pattern).is_err(), "{pattern}");
    }
    let greedy = JavaRegex::new(r"(?:(a)|(a))*(?:\1\2)?c").unwrap();
    assert_eq!(greedy.is_match(&("a".repeat(60) + "bc")), Err(TooComplex));
    let linear = JavaRegex::new("(a+)+b").unwrap();
    assert_eq!(linear.is_match(&"a".repeat(100_000)), Ok(false));
}

#[test]
fn a_refusal_says_why() {
    assert_eq!(
        JavaRegex::new("rack-(1|2").unwrap_err().to_string(),
        "is not a valid regular expression: a group is not closed, got 'rack-(1|2'"
    );
}

proptest! {
    #[test]
    fn no_pattern_panics(pattern in r"\PC*", text in r"\PC{0,40}") {
        let _ = JavaRegex::new(&pattern).map(|regex| regex.is_match(&text));
    }

    #[test]
    fn no_pattern_of_special_characters_panics(
        pattern in r"([a-c0-3()|*+?{},\[\]^$.&~:#=!<>PQEdswbpxu \\-]|\(\?|\\[a-zA-Z0-9]){0,30}",
        text in "[a-c0-3 ]{0,10}",
    ) {
        let _ = JavaRegex::new(&pattern).map(|regex| regex.is_match(&text));
    }

    /// A text that is quoted matches itself and nothing else.
    #[test]
    fn quoted_text_is_literal(text in r"\PC{0,20}", other in r"\PC{0,20}") {
        prop_assume!(!text.contains(r"\E") && text != other);
        let regex = JavaRegex::new(&format!(r"\Q{text}\E")).unwrap();
        prop_assert_eq!(regex.is_match(&text), Ok(true));
        prop_assert_eq!(regex.is_match(&other), Ok(false));
    }
}
