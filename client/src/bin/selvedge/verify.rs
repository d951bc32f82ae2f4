//! `selvedge verify`: reads every document in a folder, checks and replays it, and reports.

use std::io::Write;

use selvedge_client::{Problem, Verified};
use serde_json::json;

use crate::args::VerifyArgs;
use crate::session::Failure;

pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let found = selvedge_client::verify(&args.data, args.against.as_deref())
        .map_err(|error| Failure::Other(error.to_string()))?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let report = serde_json::to_string_pretty(&as_json(&found)).map_err(std::io::Error::from)?;
        writeln!(out, "{report}")?;
    } else {
        found.problems.iter().try_for_each(|problem| writeln!(out, "{}", line(problem)))?;
        writeln!(
            out,
            "{} documents, {} records, {} bytes read; {} quarantined; {} files set aside in all; {} problems",
            found.documents,
            found.records,
            found.bytes,
            found.quarantined,
            found.set_aside,
            found.problems.len()
        )?;
    }
    out.flush()?;
    match found.problems.len() {
        0 => Ok(()),
        count => Err(Failure::Other(format!("{count} problems found in {}", args.data.display()))),
    }
}

fn line(problem: &Problem) -> String {
    let document = problem.document.as_ref().map(|name| format!(", document {name:?}")).unwrap_or_default();
    let record = problem.record.map(|record| format!(", record {record}")).unwrap_or_default();
    format!("{}{document}{record}: {}", problem.file, problem.problem)
}

fn as_json(found: &Verified) -> serde_json::Value {
    let problem = |problem: &Problem| {
        json!({
            "file": problem.file, "document": problem.document, "record": problem.record, "problem": problem.problem,
        })
    };
    json!({
        "documents": found.documents,
        "records": found.records,
        "bytes": found.bytes,
        "quarantined": found.quarantined,
        "set_aside": found.set_aside,
        "problems": found.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}
