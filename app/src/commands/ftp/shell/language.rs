//! What is typed at the prompt, taken apart: words, quotes, and where the output goes.
//!
//! ```text
//! line  = order *( ( ";" / "&" / line end ) order )          "&" makes the order before it a job
//! order = word *( blank word ) [ "|" local command / ">" file / ">>" file ]
//!       / "!" local command to the end of the line / "#" comment to the end of the line
//! word  = *( octet / "\" octet / "'" … "'" / DQUOTE … DQUOTE )
//! ```
//!
//! Inside of `"…"` a backslash stands before `"` and `\` only; inside of `'…'` nothing is special. What is quoted is never a
//! pattern: it is marked, and the mark goes with the word until somebody asks what it means.
//!
//! Invariants: what [`quoted`] writes is read as the same word; nothing here touches a disk or a server.
//! Not here: which words there are (words), what they mean.

/// Stands before an octet that would be special if it were not quoted. No name can have it.
const MARK: char = '\0';

/// What stands for more than itself in a word, where it is not quoted.
const SPECIAL: [char; 4] = ['*', '?', '[', '~'];

/// What ends a word, or begins something else, where it is not quoted.
const BREAKING: [char; 12] = [' ', '\t', '\n', ';', '&', '|', '>', '<', '"', '\'', '\\', '#'];

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// A command of ours.
    Ours {
        /// Marked, as [`plain`] and [`pattern`] take them.
        words: Vec<String>,
        /// Where its output goes.
        to: To,
        /// Whether it becomes a job.
        apart: bool,
        /// What stands behind its first word, to the end of the text; nothing if that word is quoted, for then it is no alias.
        behind: Option<usize>,
    },
    /// A command for the local shell.
    Local(String),
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Where it always goes.
    Screen,
    /// A file here, written anew.
    File(String),
    /// A file here, written on.
    End(String),
    /// A command for the local shell.
    Command(String),
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word {
        marked: String,
        bare: bool,
    },
    /// `;` or the end of a line.
    End,
    Apart,
    Pipe,
    Into,
    OntoEnd,
}

/// The next order of a text, and how much of the text it is; nothing at its end.
pub fn next(text: &str) -> Result<Option<(Order, usize)>, String> {
    let mut pieces = Pieces { text, at: 0 };
    pieces.skip_ends()?;
    let start = pieces.at;
    if let Some(rest) = text[start..].strip_prefix('!') {
        let line = rest.lines().next().unwrap_or("");
        return Ok(Some((Order::Local(line.trim().to_owned()), start + 1 + line.len())));
    }
    let (mut words, mut to, mut apart, mut behind) = (Vec::new(), To::Screen, false, None);
    while let Some(token) = pieces.next()? {
        match token {
            Token::Word { .. } if to != To::Screen => return Err("something stands behind the file's name".into()),
            Token::Word { marked, bare } => {
                if words.is_empty() {
                    behind = bare.then_some(pieces.at);
                }
                words.push(marked);
            }
            Token::End => break,
            _ if words.is_empty() => return Err("a command is missing".into()),
            Token::Apart => {
                apart = true;
                break;
            }
            Token::Pipe if to == To::Screen => to = To::Command(pieces.local()?),
            Token::Into if to == To::Screen => to = To::File(pieces.file()?),
            Token::OntoEnd if to == To::Screen => to = To::End(pieces.file()?),
            _ => return Err("the output can go to one place only".into()),
        }
    }
    if words.is_empty() {
        return Ok(None);
    }
    Ok(Some((Order::Ours { words, to, apart, behind }, pieces.at)))
}

/// A word as it is meant, without marks.
pub fn plain(marked: &str) -> String {
    marked.replace(MARK, "")
}

/// Whether there is a pattern in it.
pub fn is_pattern(marked: &str) -> bool {
    let unmarked = |(at, c): (usize, char)| matches!(c, '*' | '?' | '[') && !marked[..at].ends_with(MARK);
    marked.char_indices().any(unmarked)
}

/// One name of a path as a pattern: what is quoted in it stands for itself.
pub fn pattern(marked: &str) -> Vec<u8> {
    let (mut pattern, mut quoted) = (String::new(), false);
    for c in marked.chars() {
        match c {
            MARK => {}
            '*' | '?' | '[' if quoted => pattern.extend(['[', c, ']']),
            _ => pattern.push(c),
        }
        quoted = c == MARK;
    }
    pattern.into_bytes()
}

/// A word for a path on this machine: `~/` is our home.
pub fn with_home(marked: &str, home: Option<&str>) -> String {
    match (marked.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => marked.to_owned(),
    }
}

/// A name as somebody would type it, inside of this quote if one is open.
pub fn quoted(name: &str, quote: Option<char>) -> String {
    let mut text: String = quote.into_iter().collect();
    for (at, c) in name.chars().enumerate() {
        match quote {
            // A quote cannot stand inside of its own kind: out, one by itself, and in again.
            Some('\'') if c == '\'' => text.push_str("'\\''"),
            Some('"') if matches!(c, '"' | '\\') => text.extend(['\\', c]),
            Some(_) => text.push(c),
            None if BREAKING.contains(&c) || SPECIAL.contains(&c) || at == 0 && c == '!' => text.extend(['\\', c]),
            None => text.push(c),
        }
    }
    text
}

/// Where the cursor stands, for whoever wants to complete what is there.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    /// The whole words of this order, before the one at the cursor.
    pub words: Vec<String>,
    /// Where the word at the cursor begins, its quote included.
    pub start: usize,
    /// What of it is typed, without quotes.
    pub typed: String,
    /// The quote that is open.
    pub quote: Option<char>,
    /// Whether it is for this machine: behind `!`, `|` or `>`.
    pub local: bool,
}

/// Takes apart what stands before the cursor.
pub fn cut(text: &str) -> Cut {
    let (mut words, mut local, mut pieces) = (Vec::new(), false, Pieces { text, at: 0 });
    loop {
        pieces.skip_blanks();
        if words.is_empty() && text[pieces.at..].starts_with('!') {
            local = true;
            pieces.at += 1;
            pieces.skip_blanks();
        }
        let start = pieces.at;
        let (token, quote) = pieces.token();
        match token {
            // Nothing behind it: the cursor stands in this word.
            Some(Token::Word { marked, .. }) if pieces.at == text.len() => {
                return Cut { words, start, typed: plain(&marked), quote, local };
            }
            Some(Token::Word { marked, .. }) => words.push(plain(&marked)),
            Some(Token::End | Token::Apart) => (words, local) = (Vec::new(), false),
            Some(Token::Pipe | Token::Into | Token::OntoEnd) => local = true,
            None => return Cut { words, start: text.len(), typed: String::new(), quote: None, local },
        }
    }
}

struct Pieces<'a> {
    text: &'a str,
    at: usize,
}

impl Pieces<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// What starts a comment is passed over with it.
    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\r']).len();
        if self.rest().starts_with('#') {
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// Line ends and `;` before an order.
    fn skip_ends(&mut self) -> Result<(), String> {
        if self.text.contains(MARK) {
            return Err("NUL cannot be meant".into());
        }
        loop {
            self.skip_blanks();
            match self.rest().strip_prefix(['\n', ';']) {
                Some(rest) => self.at = self.text.len() - rest.len(),
                None => return Ok(()),
            }
        }
    }

    fn next(&mut self) -> Result<Option<Token>, String> {
        match self.token() {
            (_, Some(quote)) => Err(format!("{quote} is open to the end")),
            (token, None) => Ok(token),
        }
    }

    /// The next piece, and the quote that is still open behind it.
    fn token(&mut self) -> (Option<Token>, Option<char>) {
        self.skip_blanks();
        let signs = [
            (">>", Token::OntoEnd),
            (">", Token::Into),
            ("|", Token::Pipe),
            ("&", Token::Apart),
            (";", Token::End),
            ("\n", Token::End),
        ];
        for (sign, token) in signs {
            if self.rest().starts_with(sign) {
                self.at += sign.len();
                return (Some(token), None);
            }
        }
        if self.rest().is_empty() { (None, None) } else { self.word() }
    }

    fn word(&mut self) -> (Option<Token>, Option<char>) {
        let (mut marked, mut quote, mut bare, mut used) = (String::new(), None, true, self.rest().len());
        let mut chars = self.rest().char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match (quote, c) {
                (None, '\'' | '"') => (quote, bare) = (Some(c), false),
                (Some(open), c) if open == c => quote = None,
                (None, '\\') => {
                    bare = false;
                    // At the very end it stands for itself: somebody is still typing.
                    let (_, meant) = chars.next().unwrap_or((at, c));
                    mark(&mut marked, meant);
                }
                (Some('"'), '\\') => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, meant)) => mark(&mut marked, meant),
                    None => marked.push(c),
                },
                (Some(_), c) => mark(&mut marked, c),
                // A `#` inside of a word is nothing special.
                (None, c) if BREAKING.contains(&c) && c != '#' || c == '\r' => {
                    used = at;
                    break;
                }
                (None, c) => marked.push(c),
            }
        }
        self.at += used.max(1);
        (Some(Token::Word { marked, bare }), quote)
    }

    /// What the local shell gets: to the next `;` or `&` that is not quoted, or doubled.
    fn local(&mut self) -> Result<String, String> {
        let (mut quote, mut end) = (None, self.rest().len());
        let mut chars = self.rest().char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                (None | Some('"'), '\\') => drop(chars.next()),
                (None, '&') if chars.next_if(|(_, next)| *next == '&').is_some() => {}
                (None, ';' | '&' | '\n') => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let command = self.rest()[..end].trim().to_owned();
        self.at += end;
        if command.is_empty() { Err("a command is missing behind |".into()) } else { Ok(command) }
    }

    fn file(&mut self) -> Result<String, String> {
        match self.next()? {
            Some(Token::Word { marked, .. }) => Ok(marked),
            _ => Err("a file's name is missing behind >".into()),
        }
    }
}

fn mark(marked: &mut String, c: char) {
    if SPECIAL.contains(&c) {
        marked.push(MARK);
    }
    marked.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All orders, their words without marks.
    fn read(mut text: &str) -> Vec<(Vec<String>, To, bool)> {
        let mut orders = Vec::new();
        while let Some((order, used)) = next(text).expect("readable") {
            orders.push(match order {
                Order::Ours { words, to, apart, .. } => (words.iter().map(|word| plain(word)).collect(), to, apart),
                Order::Local(command) => (vec!["!".into(), command], To::Screen, false),
            });
            text = &text[used..];
        }
        orders
    }

    fn words(text: &str) -> Vec<String> {
        read(text).swap_remove(0).0
    }

    #[test]
    fn quotes_and_backslashes_make_one_word() {
        for (text, expected) in [
            ("get a b", vec!["get", "a", "b"]),
            ("get 'a b' \"c d\" e\\ f", vec!["get", "a b", "c d", "e f"]),
            (r#"get "a\"b\\c\d" 'e\f'"#, vec!["get", "a\"b\\c\\d", "e\\f"]),
            ("get a'b c'd \"\"", vec!["get", "ab cd", ""]),
            ("get caf\u{e9} a#b", vec!["get", "caf\u{e9}", "a#b"]),
            ("  ls   # what is there ; cd x", vec!["ls"]),
            ("get \\;\\&\\|\\>", vec!["get", ";&|>"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn orders_stand_one_after_another_and_some_apart() {
        let orders = read("cd a; get b &ls\n# nothing\n!echo a; b\npwd;;");
        let first: Vec<_> = orders.iter().map(|(words, _, apart)| (words.join(" "), *apart)).collect();
        let expected = [("cd a", false), ("get b", true), ("ls", false), ("! echo a; b", false), ("pwd", false)];
        assert_eq!(first, expected.map(|(words, apart)| (words.to_owned(), apart)));
        assert_eq!(next("  ; # x").expect("readable"), None);
    }

    #[test]
    fn output_goes_where_it_is_sent() {
        let to = |text: &str| read(text).swap_remove(0).1;
        assert_eq!(to("ls"), To::Screen);
        assert_eq!(to("ls > 'a b'"), To::File("a b".into()));
        assert_eq!(to("ls>>b"), To::End("b".into()));
        assert_eq!(to("ls | grep 'a;b' | sort && echo ok; pwd"), To::Command("grep 'a;b' | sort && echo ok".into()));
        assert_eq!(read("cat x | wc -c & pwd").len(), 2);
        assert!(read("cat x | wc -c &")[0].2);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in
            ["get 'a", "get \"a\\\"", "ls |", "ls >", "ls > a b", "ls > a > b", "& ls", "ls & & pwd", "> a", "a\0b"]
        {
            let mut rest = text;
            let refused = loop {
                match next(rest) {
                    Ok(Some((_, used))) => rest = &rest[used..],
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
            assert!(refused, "{text:?}");
        }
    }

    #[test]
    fn what_is_quoted_is_no_pattern() {
        let marked = |text: &str| match next(text) {
            Ok(Some((Order::Ours { mut words, .. }, _))) => words.swap_remove(0),
            other => panic!("{other:?}"),
        };
        assert!(is_pattern(&marked("a*")) && is_pattern(&marked("'a b'?")) && is_pattern(&marked("[ab]")));
        for text in ["'a*'", "\"a?\"", "a\\[b]", "ab"] {
            assert!(!is_pattern(&marked(text)), "{text}");
        }
        assert_eq!(pattern(&marked("'*'*\\[")), b"[*]*[[]");
        assert_eq!(plain(&marked("'*'*~")), "**~");
        assert_eq!(with_home(&marked("~/x"), Some("/home/bob")), "/home/bob/x");
        assert_eq!(plain(&with_home(&marked("'~/x'"), Some("/home/bob"))), "~/x");
        assert_eq!(with_home(&marked("~bob/x"), Some("/home/bob")), "~bob/x");
    }

    #[test]
    fn what_is_quoted_for_somebody_is_read_as_it_was() {
        for name in ["a b", "it's", "\"x\"", "a\\b", "*?[]~;&|><#", "!x", "#x", "caf\u{e9}", "~"] {
            for quote in [None, Some('"'), Some('\'')] {
                let text = format!("{}{}", quoted(name, quote), quote.map(String::from).unwrap_or_default());
                assert_eq!(words(&text), [name], "{text}");
                let Ok(Some((Order::Ours { words, .. }, _))) = next(&text) else { panic!("{text}") };
                assert!(!is_pattern(&words[0]), "{text}");
            }
        }
    }

    #[test]
    fn the_word_at_the_cursor_is_found() {
        let at = |text: &str| {
            let Cut { words, start, typed, quote, local } = cut(text);
            (words.join(","), start, typed, quote, local)
        };
        let cut = |words: &str, start, typed: &str, quote, local| (words.into(), start, typed.into(), quote, local);
        assert_eq!(at("ge"), cut("", 0, "ge", None, false));
        assert_eq!(at("get "), cut("get", 4, "", None, false));
        assert_eq!(at("get a\\ b"), cut("get", 4, "a b", None, false));
        assert_eq!(at("get x 'a b"), cut("get,x", 6, "a b", Some('\''), false));
        assert_eq!(at("get \"a\\"), cut("get", 4, "a\\", Some('"'), false));
        assert_eq!(at("cd a; pu"), cut("", 6, "pu", None, false));
        assert_eq!(at("ls > a"), cut("ls", 5, "a", None, true));
        assert_eq!(at("!ca"), cut("", 1, "ca", None, true));
        assert_eq!(at(""), cut("", 0, "", None, false));
    }

    proptest::proptest! {
        #[test]
        fn any_name_can_be_typed(name in "[^\0]{1,12}", inside in 0..3usize) {
            let quote = [None, Some('"'), Some('\'')][inside];
            let text = format!("get {}{}", quoted(&name, quote), quote.map(String::from).unwrap_or_default());
            let controls = name.contains(['\n', '\r']) && quote.is_none();
            if !controls {
                let read = words(&text);
                proptest::prop_assert_eq!(&read[1], &name);
            }
        }

        #[test]
        fn nothing_typed_panics(text in ".{0,40}", at in 0..41usize) {
            let mut rest = &text[..];
            while let Ok(Some((_, used))) = next(rest) {
                rest = &rest[used..];
            }
            let end = text.char_indices().nth(at).map_or(text.len(), |(end, _)| end);
            cut(&text[..end]);
        }
    }
}
