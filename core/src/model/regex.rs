//! Regular expressions as users of Marathon write them: Java's syntax, matched against the whole text.
//!
//! The engine is `fancy-regex`, which has Java's look-around, back references, atomic groups and possessive
//! quantifiers. Its syntax is not quite Java's, so a pattern is translated first:
//!
//! | Java | here |
//! |---|---|
//! | `\d \w \s` are ASCII, `\h` is a space | written out as classes |
//! | `\Q…\E`, `\0nn`, `\uhhhh`, `\cX`, `\<` | written as literals |
//! | `\p{Lower}` and its kin | `[[:lower:]]` |
//! | flags `d` and `u` | dropped |
//! | what only the engine knows: `(?P<n>…)`, `(?(1)…)`, `\K`, `[a--b]` | refused, or literal as in Java |
//!
//! Not supported, and refused: `\X`, `\N{…}`, `\b{g}`, `\p{java…}`, `\p{In…}`, surrogates, flag `U`, references
//! to groups that do not exist, look-behind of variable length. Different: `(?i)` also folds letters beyond
//! ASCII, and `.` also matches the line ends that are not `\n`.

use std::iter::Peekable;
use std::str::Chars;

use fancy_regex::{Regex, RegexBuilder};

/// Patterns are typed by people; longer ones are mistakes or attacks.
const MAX_PATTERN: usize = 4096;

/// Steps after which a match is given up. Ordinary patterns need none: they never backtrack.
const BACKTRACK_LIMIT: usize = 100_000;

/// Bytes that a compiled pattern may need, so that `(a{1000}){1000}` is refused rather than built.
const SIZE_LIMIT: usize = 1 << 20;

/// A regular expression in Java's syntax that must match a text as a whole.
#[derive(Clone, Debug)]
pub struct JavaRegex(Regex);

/// The pattern is not one that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a valid regular expression: {reason}, got '{pattern}'")]
pub struct InvalidRegex {
    /// What was given; cut if it is long.
    pub pattern: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// Matching would take too many steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the regular expression needs more than {BACKTRACK_LIMIT} steps for this text")]
pub struct TooComplex;

impl JavaRegex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// It is malformed, uses what is not supported, or is too large.
    pub fn new(pattern: &str) -> Result<Self, InvalidRegex> {
        let invalid = |reason: &str| InvalidRegex {
            pattern: pattern.chars().take(60).collect(),
            reason: reason.to_owned(),
        };
        if pattern.len() > MAX_PATTERN {
            return Err(invalid("it is longer than 4096 bytes"));
        }
        let translated = Translator::new(pattern).translate().map_err(|reason| invalid(&reason))?;
        RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(SIZE_LIMIT)
            .delegate_dfa_size_limit(SIZE_LIMIT)
            .max_prog_size(SIZE_LIMIT / 64)
            .build()
            .map(Self)
            .map_err(|_| invalid("it is malformed, too large, or uses what is not supported"))
    }

    /// Whether the whole of `text` matches.
    ///
    /// # Errors
    /// The pattern backtracks too much on this text.
    pub fn is_match(&self, text: &str) -> Result<bool, TooComplex> {
        self.0.is_match(text).map_err(|_| TooComplex)
    }
}

/// Rewrites Java's syntax into the engine's.
struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    output: String,
    /// The whole and the groups that are open, innermost last.
    groups: Vec<Group>,
    /// The groups' names so far.
    names: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    /// Whether white space and comments are ignored (`(?x)`).
    comments: bool,
    /// Flags that were set in the middle, `(?i)`, each written as the group `(?i:` that is open since. (The
    /// engine lets flags leak out of the group in which they are set.)
    flags: Vec<String>,
}

type Step = Result<(), String>;

impl<'a> Translator<'a> {
    fn new(pattern: &'a str) -> Self {
        Self {
            rest: pattern.chars().peekable(),
            output: String::new(),
            groups: vec![Group::default()],
            names: Vec::new(),
        }
    }

    fn translate(mut self) -> Result<String, String> {
        while let Some(char) = self.rest.next() {
            match char {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    self.close_flags();
                    self.groups.pop();
                    if self.groups.is_empty() {
                        return Err("it closes a group that is not open".to_owned());
                    }
                    self.output.push(')');
                }
                '|' => {
                    // Flags hold for the alternatives that follow, too.
                    let flags = self.close_flags();
                    self.output.push('|');
                    self.open_flags(flags);
                }
                '{' => self.repetition()?,
                '#' if self.in_comments_mode() => self.comment(),
                _ => self.output.push(char),
            }
        }
        if self.groups.len() > 1 {
            return Err("a group is not closed".to_owned());
        }
        self.close_flags();
        Ok(self.output)
    }

    fn in_comments_mode(&self) -> bool {
        self.groups.last().is_some_and(|group| group.comments)
    }

    /// After `#`.
    fn comment(&mut self) {
        while self.rest.next().is_some_and(|char| char != '\n') {}
    }

    fn open_flags(&mut self, flags: Vec<String>) {
        for flags in flags {
            self.output.push_str(&format!("(?{flags}:"));
            self.groups.last_mut().into_iter().for_each(|group| group.flags.push(flags.clone()));
        }
    }

    fn close_flags(&mut self) -> Vec<String> {
        let flags = self.groups.last_mut().map(|group| std::mem::take(&mut group.flags)).unwrap_or_default();
        self.output.push_str(&")".repeat(flags.len()));
        flags
    }

    fn take(&mut self, expected: char) -> bool {
        self.rest.next_if_eq(&expected).is_some()
    }

    /// Reads on while `wanted` says so.
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(char) = self.rest.next_if(|char| wanted(*char)) {
            taken.push(char);
        }
        taken
    }

    fn literal(&mut self, char: char) {
        if char.is_ascii_alphanumeric() {
            self.output.push(char);
        } else if char.is_ascii_punctuation() && !matches!(char, '<' | '>') {
            self.output.push('\\');
            self.output.push(char);
        } else {
            self.output.push_str(&format!(r"\x{{{:X}}}", u32::from(char)));
        }
    }

    /// After `{`, which must begin a repetition: `{2}`, `{2,}` or `{2,3}`.
    fn repetition(&mut self) -> Step {
        let bounds = self.take_while(|char| char.is_ascii_digit() || char == ',');
        let (low, high) = bounds.split_once(',').unwrap_or((&bounds, &bounds));
        let low: Option<u32> = low.parse().ok();
        let high = if high.is_empty() { Some(u32::MAX) } else { high.parse().ok() };
        if low.is_none() || high < low || !self.take('}') {
            return Err("a repetition is malformed".to_owned());
        }
        self.output.push_str(&format!("{{{bounds}}}"));
        Ok(())
    }

    /// After `(`.
    fn group(&mut self) -> Step {
        self.groups.push(Group { comments: self.in_comments_mode(), flags: Vec::new() });
        if self.rest.peek() == Some(&'*') {
            return Err("nothing to repeat".to_owned());
        }
        if !self.take('?') {
            self.output.push('(');
            return Ok(());
        }
        match self.rest.peek() {
            Some(':' | '=' | '!' | '>') => {
                self.output.push_str("(?");
                self.output.extend(self.rest.next());
                Ok(())
            }
            Some('<') => {
                self.rest.next();
                if let Some(kind) = self.rest.next_if(|char| matches!(char, '=' | '!')) {
                    self.output.push_str("(?<");
                    self.output.push(kind);
                    return Ok(());
                }
                let name = self.group_name()?;
                self.output.push_str(&format!("(?<{name}>"));
                if self.names.contains(&name) {
                    return Err(format!("two groups are named {name}"));
                }
                self.names.push(name);
                Ok(())
            }
            _ => self.flags(),
        }
    }

    /// `name>`, of a group or a reference to it.
    fn group_name(&mut self) -> Result<String, String> {
        let name = self.take_while(|char| char.is_ascii_alphanumeric());
        if name.starts_with(|char: char| char.is_ascii_alphabetic()) && self.take('>') {
            Ok(name)
        } else {
            Err("the name of a group is missing or malformed".to_owned())
        }
    }

    /// `(?flags)` or `(?flags:`, from the flags on.
    fn flags(&mut self) -> Step {
        let is_flag = |char| "idmsux".contains(char);
        let on = self.take_while(is_flag);
        let off = if self.take('-') { self.take_while(is_flag) } else { String::new() };
        let comments = if off.contains('x') { false } else { on.contains('x') || self.in_comments_mode() };
        let kept = |flags: &str| flags.chars().filter(|flag| "imsx".contains(*flag)).collect::<String>();
        let (on, off) = (kept(&on), kept(&off));
        let flags = if off.is_empty() { on } else { format!("{on}-{off}") };
        if self.take(':') {
            self.output.push_str(&format!("(?{flags}:"));
        } else if self.take(')') {
            // Without a colon this is no group: the flags hold for the rest of the enclosing one.
            self.groups.pop();
            self.open_flags(vec![flags]);
        } else {
            return Err("'(?' is followed by what Java does not know".to_owned());
        }
        self.groups.last_mut().into_iter().for_each(|group| group.comments = comments);
        Ok(())
    }

    /// After `[`, up to the matching `]`.
    fn class(&mut self) -> Step {
        let mut depth = 0_usize;
        let mut opening = true;
        let mut after_hyphen = false;
        let mut next = Some('[');
        while let Some(char) = next {
            let (was_opening, was_after_hyphen) = (opening, after_hyphen);
            (opening, after_hyphen) = (false, false);
            match char {
                '[' => {
                    depth += 1;
                    if depth > 32 {
                        return Err("its classes are nested too deeply".to_owned());
                    }
                    self.output.push('[');
                    if self.take('^') {
                        self.output.push('^');
                    }
                    opening = true;
                }
                // First in its class it stands for itself.
                ']' if was_opening => self.literal(']'),
                ']' => {
                    self.output.push(']');
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                '\\' => self.escape(true)?,
                '-' if was_after_hyphen => self.literal('-'),
                '-' => {
                    self.output.push('-');
                    after_hyphen = true;
                }
                // `[[:alpha:]]` and `[a~~b]` mean something to the engine, not to Java.
                ':' if was_opening => self.output.push_str(":-:"),
                '~' => self.literal('~'),
                ' ' | '\t'..='\r' if self.in_comments_mode() => opening = was_opening,
                '#' if self.in_comments_mode() => self.comment(),
                _ => self.output.push(char),
            }
            next = self.rest.next();
        }
        Err("a class is not closed".to_owned())
    }

    /// After `\`.
    fn escape(&mut self, in_class: bool) -> Step {
        let Some(char) = self.rest.next() else {
            return Err("it ends in a backslash".to_owned());
        };
        let class = match char {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            's' => r"[\t-\r\x{20}]",
            'S' => r"[^\t-\r\x{20}]",
            'h' => r"[\t\x{20}\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]",
            'H' => r"[^\t\x{20}\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]",
            'v' => r"[\n-\r\x{85}\x{2028}\x{2029}]",
            'V' => r"[^\n-\r\x{85}\x{2028}\x{2029}]",
            'R' if !in_class => r"(?>\r\n|[\n-\r\x{85}\x{2028}\x{2029}])",
            'A' if !in_class => r"\A",
            'B' if !in_class => r"\B",
            'G' if !in_class => r"\G",
            'Z' if !in_class => r"\Z",
            'z' if !in_class => r"\z",
            'b' if !in_class && self.rest.peek() != Some(&'{') => r"\b",
            _ => return self.other_escape(char, in_class),
        };
        self.output.push_str(class);
        Ok(())
    }

    fn other_escape(&mut self, char: char, in_class: bool) -> Step {
        match char {
            '1'..='9' if !in_class => {
                self.output.push('\\');
                self.output.push(char);
                // The digit is all: what follows must not become part of the number.
                if self.rest.peek().is_some_and(char::is_ascii_digit) {
                    return Err("references beyond \\9 are not supported".to_owned());
                }
            }
            'k' if !in_class => {
                if !self.take('<') {
                    return Err("the name of a group is missing or malformed".to_owned());
                }
                let name = self.group_name()?;
                self.output.push_str(&format!(r"\k<{name}>"));
            }
            'Q' => self.quoted(),
            'p' | 'P' => return self.property(char == 'P'),
            '0' => {
                let mut digits = String::new();
                while let Some(digit) = self.rest.next_if(|char| char.is_digit(8)) {
                    digits.push(digit);
                    // At most \0377.
                    if digits.len() == 3 || (digits.len() == 2 && !digits.starts_with(['0', '1', '2', '3'])) {
                        break;
                    }
                }
                return self.code_point(&digits, 8);
            }
            'x' if self.take('{') => {
                let digits = self.take_while(|char| char != '}');
                self.take('}');
                return self.code_point(&digits, 16);
            }
            'x' | 'u' => {
                let digits: String = self.rest.by_ref().take(if char == 'x' { 2 } else { 4 }).collect();
                if digits.len() != if char == 'x' { 2 } else { 4 } {
                    return Err("a code point is malformed".to_owned());
                }
                return self.code_point(&digits, 16);
            }
            'a' => self.literal('\x07'),
            'e' => self.literal('\x1b'),
            'f' => self.literal('\x0c'),
            'n' => self.literal('\n'),
            'r' => self.literal('\r'),
            't' => self.literal('\t'),
            'c' => match self.rest.next().map(|char| u32::from(char) ^ 64).and_then(char::from_u32) {
                Some(control) => self.literal(control),
                None => return Err("a control character is malformed".to_owned()),
            },
            _ if char.is_ascii_alphanumeric() => return Err(format!(r"\{char} is not supported")),
            _ => self.literal(char),
        }
        Ok(())
    }

    fn code_point(&mut self, digits: &str, radix: u32) -> Step {
        let well_formed = !digits.is_empty() && digits.chars().all(|char| char.is_digit(radix));
        let point = u32::from_str_radix(digits, radix).ok().filter(|_| well_formed).and_then(char::from_u32);
        let Some(char) = point else {
            return Err("a code point is malformed".to_owned());
        };
        self.literal(char);
        Ok(())
    }

    /// After `\Q`, up to `\E` or the end.
    fn quoted(&mut self) {
        while let Some(char) = self.rest.next() {
            if char == '\\' && self.take('E') {
                return;
            }
            self.literal(char);
        }
    }

    /// After `\p` or `\P`.
    fn property(&mut self, negated: bool) -> Step {
        let name = if self.take('{') {
            let name = self.take_while(|char| char.is_ascii_alphanumeric() || char == '_' || char == '=');
            if !self.take('}') {
                return Err("a property is malformed".to_owned());
            }
            name
        } else {
            self.rest.next().filter(char::is_ascii_alphabetic).map(String::from).unwrap_or_default()
        };
        let not = if negated { "^" } else { "" };
        match name.as_str() {
            "" => return Err("a property is malformed".to_owned()),
            "Lower" | "Upper" | "ASCII" | "Alpha" | "Digit" | "Alnum" | "Punct" | "Graph" | "Print"
            | "Blank" | "Cntrl" | "XDigit" | "Space" => {
                self.output.push_str(&format!("[[:{not}{}:]]", name.to_ascii_lowercase()));
            }
            _ => self.output.push_str(&format!(r"\{}{{{name}}}", if negated { 'P' } else { 'p' })),
        }
        Ok(())
    }
}
