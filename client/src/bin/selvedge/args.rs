//! The command line, and the help that explains it.
//!
//! docs/cli.md shows the same examples; a test runs them.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Reads and edits Selvedge documents from the shell, through a relay.
///
/// A document is a tree: a root map with maps, lists, texts, counters and sets in it. Everybody who opens the same
/// name on the same relay has the same document. Whoever is offline goes on editing; later all copies are equal.
#[derive(Debug, Parser)]
#[command(name = "selvedge", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples (start a relay first: selvedge-relay serve --listen 127.0.0.1:8787 --data relay-data):

  selvedge edit --relay ws://127.0.0.1:8787 --doc groceries set title Groceries
  selvedge edit --relay ws://127.0.0.1:8787 --doc groceries push todos '{\"text\": \"milk\", \"done\": false}'
  selvedge cat --relay ws://127.0.0.1:8787 --doc groceries
  selvedge watch --relay ws://127.0.0.1:8787 --doc groceries
  selvedge replay automerge-paper.json.gz --relay ws://127.0.0.1:8787 --doc paper

`selvedge help COMMAND` explains each command. SELVEDGE_LOG=info shows what happens inside.
Exit code: 0 done, 1 it failed (one line on standard error says why), 2 the command line was wrong.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Edit(EditArgs),
    Cat(CatArgs),
    Watch(WatchArgs),
    Follow(FollowArgs),
    Replay(ReplayArgs),
    Verify(VerifyArgs),
}

/// Which document, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// The document's name: 1 to 256 bytes, no control characters
    #[arg(long, value_name = "NAME")]
    pub(crate) doc: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where documents are, and how long to wait for them.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// A relay, or a device that listens, as ws://HOST:PORT (http:// is taken for it); can be given several times
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Vec<String>,
    /// Keep documents in this folder (made if need be; one process at a time) instead of in memory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The token to present to the relays
    #[arg(long, value_name = "TOKEN", env = "SELVEDGE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Let other devices dial this one: an address and port, 0 for a free port (it is told on standard error)
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// What those who dial this device must present; needed beyond loopback
    #[arg(long, value_name = "TOKEN", env = "SELVEDGE_LISTEN_TOKEN", hide_env_values = true, requires = "listen")]
    pub(crate) listen_token: Option<String>,
    /// Give up after this many seconds without the relay, or without the relay getting on
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(crate) timeout: Option<u64>,
}

/// Change a document: one transaction, durable on the relay when the command ends
///
/// A statement is a verb, a path and its values:
///
///   set PATH VALUE             a map key, or an element of a list
///   delete PATH                a map key, or an element of a list
///   delete PATH POS LEN        LEN characters of a text, or elements of a list, from POS on
///   push PATH VALUE            at the end of a list
///   insert PATH POS VALUE      before POS: characters into a text, an element into a list
///   move PATH FROM TO          an element of a list, so that it becomes number TO
///   increment PATH BY          a counter; BY may be negative
///   add PATH VALUE             to a set
///   remove PATH VALUE          from a set
///
/// A path is keys and list indexes joined by dots (todos.0.done); a backslash keeps the next character (a\.b). What is
/// missing on the way is made. A value is JSON: an object becomes a map, an array a list. What is no JSON is a string,
/// so plain words need no quotes. Text is inserted as it stands, unless it is a JSON string.
///
/// The words of one statement may stand alone; several statements are given as one argument each.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EDIT_EXAMPLES)]
pub(crate) struct EditArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The statement's words, or one whole statement per argument
    #[arg(required = true, value_name = "SCRIPT", allow_hyphen_values = true, trailing_var_arg = true)]
    pub(crate) script: Vec<String>,
}

const EDIT_EXAMPLES: &str = "\
Examples:

  selvedge edit --relay ws://127.0.0.1:8787 --doc groceries set meta.title Groceries
  selvedge edit --relay ws://127.0.0.1:8787 --doc groceries push todos '{\"text\": \"milk\", \"done\": false}'
  selvedge edit --relay ws://127.0.0.1:8787 --doc groceries set todos.0.done true
  selvedge edit --relay ws://127.0.0.1:8787 --doc groceries 'increment visits 2' 'add tags home' 'insert text 0 \"Hello \"'
  selvedge edit --data my-data --doc groceries set title 'Written offline'   # no relay: saved in my-data

Without --relay the change stays in --data and is sent by the next command that names the relay.";

/// Print a document as JSON, or one of its texts, as the relay has it now
#[derive(Debug, clap::Args)]
#[command(after_help = CAT_EXAMPLES)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Print a text container, exactly as it is, instead of the whole document
    #[arg(long)]
    pub(crate) text: bool,
    /// The name of the text container
    #[arg(long, value_name = "NAME", default_value = "text", requires = "text")]
    pub(crate) container: String,
}

const CAT_EXAMPLES: &str = "\
Examples:

  selvedge cat --relay ws://127.0.0.1:8787 --doc groceries
  selvedge cat --relay ws://127.0.0.1:8787 --doc paper --text > paper.tex
  selvedge cat --data my-data --doc groceries        # what this device has, without a relay

In JSON a text is a string, a counter a number, a set a sorted array.";

/// Print what changes, as JSON lines, until Ctrl-C
///
/// Starts when the document is caught up with the relay. Each line is one patch: `kind` says what happened, `path` where,
/// `local` whether it was done here (never, in this command). A line {"kind":"missed"} says that this process
/// was too slow and that some patches were left out: read the document again.
#[derive(Debug, clap::Args)]
#[command(after_help = WATCH_EXAMPLES)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// End after this many patches
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

const WATCH_EXAMPLES: &str = "\
Examples:

  selvedge watch --relay ws://127.0.0.1:8787 --doc groceries
  selvedge watch --relay ws://127.0.0.1:8787 --doc groceries --count 1    # wait for the next change
  selvedge watch --listen 127.0.0.1:9000 --doc groceries    # other devices dial this one";

/// Keep every document of a prefix here, as they appear, until Ctrl-C
///
/// All documents of the relay whose names begin with the prefix are opened: what there is now, and what others make later (at
/// most 1,000 at a time). A line of JSON tells of each document once all of it is here, and in --data if that is given:
/// {"document": its name, "operations": how many it has}. Then it is kept equal without another word. The token
/// must allow to read the whole prefix.
#[derive(Debug, clap::Args)]
#[command(after_help = FOLLOW_EXAMPLES)]
pub(crate) struct FollowArgs {
    /// What the names begin with; nothing: every document
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) place: Place,
    /// End when so many documents are here
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

const FOLLOW_EXAMPLES: &str = "\
Examples:

  selvedge follow --relay ws://127.0.0.1:8787 --prefix notes/
  selvedge follow --relay ws://127.0.0.1:8787 --data backup    # a copy of everything, kept up to date
  selvedge follow --relay ws://127.0.0.1:8787 --prefix notes/ --count 2 --data backup";

/// Type a recorded editing history into a document's text `text`
///
/// Reads the traces of https://github.com/josephg/editing-traces, gzipped or not. Every transaction becomes one change.
/// Of a sequential trace everything is typed. Of a concurrent one (several authors typing at once) each process types one
/// author, at the very versions that the trace names: what the others type is held back until the trace has merged it.
/// Start one process per author, in any order, with the same document name.
///
/// Ends when everything of all authors is merged and everything typed here is durable on the relay. Exit code 0 only
/// if the text then equals the trace's. With --data an interrupted replay goes on where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = REPLAY_EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// The trace: a .json or .json.gz file
    #[arg(value_name = "TRACE")]
    pub(crate) trace: PathBuf,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Which author to type
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) agent: u32,
    /// Wait this long after every transaction
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) delay_ms: u64,
    /// Type at most this many transactions per second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: ProgressKind,
}

/// Read every document in a folder, check and replay it, and report
///
/// Every record is held against its checksum, every change is read and applied anew, and the state that is saved against the
/// history that leads to it. A file with a damaged record is copied aside; nothing else is changed. With --against, the
/// documents are compared with those of the same name in another folder: where two copies contradict each other, the first
/// operation that differs is named by replica and number.
///
/// Exit code: 0 everything is as it should be, 1 it is not, 2 the command line was wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The folder; no other process may use it meanwhile
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Compare with the documents in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) against: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const VERIFY_EXAMPLES: &str = "\
Examples:

  selvedge verify --data my-data
  selvedge verify --data my-data --against restored-data";

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressKind {
    /// A bar on a terminal, lines otherwise
    Auto,
    /// A line now and then
    Plain,
    /// Nothing
    None,
}

const REPLAY_EXAMPLES: &str = "\
Examples:

  selvedge replay automerge-paper.json.gz --relay ws://127.0.0.1:8787 --doc paper
  selvedge replay friendsforever.json.gz --relay ws://127.0.0.1:8787 --doc friends --agent 0 &
  selvedge replay friendsforever.json.gz --relay ws://127.0.0.1:8787 --doc friends --agent 1";
