//! Statements: what the words of a script mean.
//!
//! Always holds: a script is understood as a whole before anything is edited. Not here: documents (`apply`).

use serde_json::Value as Json;

/// One edit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) path: Vec<String>,
    pub(super) verb: Verb,
}

/// What is done at the path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verb {
    Set(Json),
    Delete,
    DeleteRange {
        pos: usize,
        len: usize,
    },
    Push(Json),
    /// The word as it was given: into a text it goes as it stands.
    Insert {
        pos: usize,
        word: String,
    },
    Move {
        from: usize,
        to: usize,
    },
    Increment(i64),
    Add(Json),
    Remove(Json),
}

impl Statement {
    /// Reads a script: the words of one statement, or whole statements if the first has spaces in it.
    pub(super) fn parse_script(script: &[String]) -> Result<Vec<Self>, String> {
        let first = script.first().map_or("", |first| first.trim());
        if !first.contains(char::is_whitespace) {
            let words: Vec<&str> = script.iter().map(String::as_str).collect();
            return Ok(vec![Self::from_words(&words)?]);
        }
        script.iter().map(|line| Self::parse_line(line)).collect()
    }

    /// Reads a statement from one string: the last value takes the rest, spaces and all.
    fn parse_line(line: &str) -> Result<Self, String> {
        let verb = line.split_whitespace().next().unwrap_or("");
        let values = form(verb)?.1;
        let mut words = Vec::new();
        let mut rest = line.trim();
        while words.len() < 1 + values && !rest.is_empty() {
            let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            words.push(word);
            rest = tail.trim_start();
        }
        // `delete` is the one verb with an optional range.
        match verb {
            "delete" => words.extend(rest.split_whitespace()),
            _ if !rest.is_empty() => words.push(rest),
            _ => {}
        }
        Self::from_words(&words)
    }

    fn from_words(words: &[&str]) -> Result<Self, String> {
        let (verb, usage) = (words.first().copied().unwrap_or(""), form(words.first().copied().unwrap_or(""))?.0);
        let wrong = || format!("`{}` is not `{usage}`", words.join(" "));
        let path = parse_path(words.get(1).ok_or_else(wrong)?)?;
        let number = |word: &str| word.parse::<usize>().map_err(|_| format!("{word:?} is no position: {}", wrong()));
        let verb = match (verb, &words[2..]) {
            ("set", [value]) => Verb::Set(parse_value(value)?),
            ("delete", []) => Verb::Delete,
            ("delete", [pos, len]) => Verb::DeleteRange { pos: number(pos)?, len: number(len)? },
            ("push", [value]) => Verb::Push(parse_value(value)?),
            ("insert", [pos, word]) => Verb::Insert { pos: number(pos)?, word: (*word).to_owned() },
            ("move", [from, to]) => Verb::Move { from: number(from)?, to: number(to)? },
            ("increment", [by]) => {
                Verb::Increment(by.parse().map_err(|_| format!("{by:?} is no whole number: {}", wrong()))?)
            }
            ("add", [value]) => Verb::Add(parse_value(value)?),
            ("remove", [value]) => Verb::Remove(parse_value(value)?),
            _ => return Err(wrong()),
        };
        Ok(Self { path, verb })
    }
}

/// How a verb is used, and how many words stand between it and its last value.
fn form(verb: &str) -> Result<(&'static str, usize), String> {
    Ok(match verb {
        "set" => ("set PATH VALUE", 1),
        "delete" => ("delete PATH [POS LEN]", 1),
        "push" => ("push PATH VALUE", 1),
        "insert" => ("insert PATH POS VALUE", 2),
        "move" => ("move PATH FROM TO", 2),
        "increment" => ("increment PATH BY", 1),
        "add" => ("add PATH VALUE", 1),
        "remove" => ("remove PATH VALUE", 1),
        other => {
            let verbs = "set, delete, push, insert, move, increment, add, remove";
            return Err(format!("{other:?} is no verb: use one of {verbs} (selvedge help edit)"));
        }
    })
}

/// Splits a path at its dots; a backslash keeps the next character.
fn parse_path(path: &str) -> Result<Vec<String>, String> {
    let mut keys = vec![String::new()];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match (c, keys.last_mut()) {
            ('.', _) => keys.push(String::new()),
            ('\\', Some(key)) => {
                key.push(chars.next().ok_or_else(|| format!("the path {path:?} ends in a backslash"))?)
            }
            (c, Some(key)) => key.push(c),
            (_, None) => {}
        }
    }
    if keys.iter().any(String::is_empty) { Err(format!("the path {path:?} has an empty key")) } else { Ok(keys) }
}

/// A value: JSON, or a plain string. What begins like JSON must be JSON.
fn parse_value(word: &str) -> Result<Json, String> {
    match serde_json::from_str(word) {
        Ok(value) => Ok(value),
        Err(error) if word.starts_with(['{', '[', '"']) => Err(format!("{word} is not JSON: {error}")),
        Err(_) => Ok(Json::String(word.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(script: &[&str]) -> Result<Vec<Statement>, String> {
        Statement::parse_script(&script.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    fn one(path: &[&str], verb: Verb) -> Result<Vec<Statement>, String> {
        Ok(vec![Statement { path: path.iter().map(|&key| key.to_owned()).collect(), verb }])
    }

    #[test]
    fn words_and_lines_mean_the_same() {
        for script in [&["set", "meta.title", "Groceries"][..], &[r#"set meta.title "Groceries""#]] {
            assert_eq!(parse(script), one(&["meta", "title"], Verb::Set("Groceries".into())));
        }
        assert_eq!(parse(&["set title  Two words "]), one(&["title"], Verb::Set("Two words".into())));
        let insert = Verb::Insert { pos: 0, word: r#""a b""#.into() };
        assert_eq!(parse(&[r#"insert text 0 "a b""#]), one(&["text"], insert));
        assert_eq!(parse(&["increment", "n", "-2"]), one(&["n"], Verb::Increment(-2)));
        assert_eq!(parse(&["delete text 1 2"]), one(&["text"], Verb::DeleteRange { pos: 1, len: 2 }));
        assert_eq!(parse(&["delete", "a"]), one(&["a"], Verb::Delete));
        assert_eq!(parse(&["move l 2 0"]), one(&["l"], Verb::Move { from: 2, to: 0 }));
        assert_eq!(parse(&["push l [1]", "add s 1"]).map(|script| script.len()), Ok(2));
    }

    #[test]
    fn values_are_json_or_strings() {
        for (word, value) in [
            ("1", json!(1)),
            ("true", json!(true)),
            ("\"1\"", json!("1")),
            ("milk", json!("milk")),
            ("{\"a\":[]}", json!({"a": []})),
        ] {
            assert_eq!(parse_value(word), Ok(value));
        }
        assert!(parse_value("{milk").is_err());
    }

    #[test]
    fn paths_split_at_dots() {
        assert_eq!(parse_path("todos.0.a\\.b"), Ok(vec!["todos".into(), "0".into(), "a.b".into()]));
        assert!(parse_path("a..b").is_err() && parse_path("").is_err() && parse_path("a\\").is_err());
    }

    #[test]
    fn what_is_no_statement_says_what_would_be_one() {
        for (script, says) in [
            (&["put", "a", "1"][..], "no verb"),
            (&["set", "a"], "`set a` is not `set PATH VALUE`"),
            (&["set", "a", "b", "c"], "set PATH VALUE"),
            (&["insert text x y"], "no position"),
            (&["increment", "n", "much"], "no whole number"),
            (&["delete text 1"], "delete PATH [POS LEN]"),
            (&[" "], "no verb"),
        ] {
            let error = parse(script).expect_err("understood");
            assert!(error.contains(says), "{error}");
        }
    }
}
