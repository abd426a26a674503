//! Words of a command line cut by the rules of C's and Python's `getopt`, as supervisord and supervisorctl cut theirs.
//!
//! Knows the shape of options, not what they mean. Example: with the shape of `-c`, `--configuration FILE`, the words
//! `-cx start web` are one option with the value `x`, and the rest `start web`.

/// How an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The letter behind one dash.
    pub short: Option<char>,
    /// The name behind two dashes; empty where there is none.
    pub long: &'static str,
    /// Whether a value follows.
    pub has_value: bool,
}

/// An option of a program, as the program's table has it: what it does is an `E`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<E> {
    /// The letter behind one dash.
    pub short: Option<char>,
    /// The name behind two dashes; empty where there is none.
    pub long: &'static str,
    /// What help calls its value, where it takes one.
    pub value: Option<&'static str>,
    /// What it does.
    pub effect: E,
    /// Its line of help.
    pub help: &'static str,
}

/// Makes a row of a table of options.
pub const fn row<E: Copy>(
    short: Option<char>,
    long: &'static str,
    value: Option<&'static str>,
    effect: E,
    help: &'static str,
) -> Row<E> {
    Row { short, long, value, effect, help }
}

impl<E> Row<E> {
    /// Returns how the option is written, for [`cut`].
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape { short: self.short, long: self.long, has_value: self.value.is_some() }
    }

    /// Returns its line of help, `-c/--configuration FILENAME -- what it does`.
    #[must_use]
    pub fn line(&self) -> String {
        let short = self.short.map(|letter| format!("-{letter}"));
        let long = (!self.long.is_empty()).then(|| format!("--{}", self.long));
        let names: Vec<String> = short.into_iter().chain(long).collect();
        let value = self.value.map(|value| format!(" {value}")).unwrap_or_default();
        format!("{}{value} -- {}\n", names.join("/"), self.help)
    }
}

/// An option that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its place in the list of shapes.
    pub index: usize,
    /// As typed, with its dashes, written out and without its value.
    pub typed: String,
    /// Its value; empty where it takes none.
    pub value: String,
}

/// Options in their order, and the words behind them.
pub type Cut<'w> = (Vec<Given>, &'w [String]);

/// Cuts the words into options and what follows them.
///
/// # Errors
/// What is wrong, in the words of Python's `getopt`.
pub fn cut<'w>(words: &'w [String], shapes: &[Shape]) -> Result<Cut<'w>, String> {
    let mut given = Vec::new();
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        if word == "-" || !word.starts_with('-') {
            break;
        }
        rest = after;
        if word == "--" {
            break;
        }
        rest = match word.strip_prefix("--") {
            Some(long) => cut_long(long, rest, shapes, &mut given)?,
            None => cut_short(&word[1..], rest, shapes, &mut given)?,
        };
    }
    Ok((given, rest))
}

/// Cuts `name` or `name=value`; a name may be abbreviated as long as it is told apart.
fn cut_long<'w>(
    word: &str,
    rest: &'w [String],
    shapes: &[Shape],
    given: &mut Vec<Given>,
) -> Result<&'w [String], String> {
    let (name, attached) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (word, None),
    };
    let is_candidate = |(_, shape): &(usize, &Shape)| !shape.long.is_empty() && shape.long.starts_with(name);
    let candidates: Vec<_> = shapes.iter().enumerate().filter(is_candidate).collect();
    let (index, shape) = match candidates.iter().find(|(_, shape)| shape.long == name).or(candidates.first())
    {
        None => return Err(format!("option --{name} not recognized")),
        Some((_, shape)) if shape.long != name && candidates.len() > 1 => {
            return Err(format!("option --{name} not a unique prefix"));
        }
        Some(found) => *found,
    };
    let typed = format!("--{}", shape.long);
    let (value, rest) = match (shape.has_value, attached) {
        (false, Some(_)) => return Err(format!("option {typed} must not have an argument")),
        (false, None) => (String::new(), rest),
        (true, Some(value)) => (value, rest),
        (true, None) => take_value(&typed, rest)?,
    };
    given.push(Given { index, typed, value });
    Ok(rest)
}

/// Cuts the letters of one word; the first one that takes a value takes what follows it.
fn cut_short<'w>(
    word: &str,
    rest: &'w [String],
    shapes: &[Shape],
    given: &mut Vec<Given>,
) -> Result<&'w [String], String> {
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        let index = shapes.iter().position(|shape| shape.short == Some(letter));
        let index = index.ok_or_else(|| format!("option -{letter} not recognized"))?;
        let typed = format!("-{letter}");
        if !shapes[index].has_value {
            given.push(Given { index, typed, value: String::new() });
            continue;
        }
        let attached = letters.as_str();
        let (value, rest) =
            if attached.is_empty() { take_value(&typed, rest)? } else { (attached.to_owned(), rest) };
        given.push(Given { index, typed, value });
        return Ok(rest);
    }
    Ok(rest)
}

fn take_value<'w>(typed: &str, rest: &'w [String]) -> Result<(String, &'w [String]), String> {
    let (value, rest) = rest.split_first().ok_or_else(|| format!("option {typed} requires argument"))?;
    Ok((value.clone(), rest))
}

/// Returns the last part of the path that a program was called by.
#[must_use]
pub fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [Shape; 3] = [
        Shape { short: Some('c'), long: "configuration", has_value: true },
        Shape { short: Some('i'), long: "interactive", has_value: false },
        Shape { short: Some('?'), long: "", has_value: false },
    ];

    fn cut_line(line: &str) -> Result<String, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (given, rest) = cut(&words, &SHAPES)?;
        let shown: Vec<String> =
            given.iter().map(|given| format!("{}:{}={}", given.index, given.typed, given.value)).collect();
        Ok(format!("{} | {}", shown.join(" "), rest.join(" ")))
    }

    #[test]
    fn options_end_at_the_first_other_word() {
        for (line, cut) in [
            ("-icx start -i", "1:-i= 0:-c=x | start -i"),
            ("--conf=x -- -i", "0:--configuration=x | -i"),
            ("-? - -c", "2:-?= | - -c"),
        ] {
            assert_eq!(cut_line(line), Ok(cut.to_owned()));
        }
        assert_eq!(cut_line("-c"), Err("option -c requires argument".to_owned()));
    }

    #[test]
    fn a_program_is_called_by_its_last_part() {
        assert_eq!(
            ["supervisorctl", "/usr/bin/visorctl", "./x/y"].map(base_name),
            ["supervisorctl", "visorctl", "y"]
        );
    }
}
