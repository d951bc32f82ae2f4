//! `cargo xtask simulate`: runs the simulator over many seeds, prints one line of JSON, and keeps what broke something
//! in `fuzz/crashers/simulator`.
#![allow(clippy::print_stderr, reason = "progress and failures belong beside the line of JSON")]

use std::process::ExitCode;

#[cfg(not(target_family = "wasm"))]
fn main() -> ExitCode {
    native::main()
}

#[cfg(target_family = "wasm")]
fn main() -> ExitCode {
    println!("the simulator runs natively");
    ExitCode::from(2)
}

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;
    use std::time::Duration;

    use selvedge_fuzz::sim::campaign::{Failure, Plan, campaign};
    use selvedge_fuzz::sim::{Scenario, problem_name, run};

    const USAGE: &str = "usage: cargo xtask simulate [--seeds N] [--seed S] [--minutes M] [--threads T] [--replay FILE]

--seeds N      how many scenarios (1 with --seed; without end if only --minutes is given; otherwise 200)
--seed S       the first seed: a whole number; without it, drawn from the time of day
--minutes M    begins no scenario after so many minutes; 0.5 is half a minute
--threads T    threads (2)
--replay FILE  runs one scenario out of a file, as in fuzz/crashers/simulator

The last line is JSON: seeds, simulated_hours, ops, faults by kind, violations. The exit code is 1 if there are any.";

    enum Wanted {
        Campaign(Plan),
        Replay(PathBuf),
        Help,
    }

    pub(super) fn main() -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match parse(&arguments) {
            Ok(Wanted::Help) => {
                println!("{USAGE}");
                ExitCode::SUCCESS
            }
            Ok(Wanted::Campaign(plan)) => simulate(&plan),
            Ok(Wanted::Replay(file)) => replay(&file),
            Err(problem) => {
                eprintln!("error: {problem}\n\n{USAGE}");
                ExitCode::from(2)
            }
        }
    }

    fn parse(arguments: &[String]) -> Result<Wanted, String> {
        let (mut seeds, mut seed, mut minutes, mut threads) = (None, None, None, 2);
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            if matches!(&**flag, "--help" | "-h") {
                return Ok(Wanted::Help);
            }
            if !matches!(&**flag, "--seeds" | "--seed" | "--minutes" | "--threads" | "--replay") {
                return Err(format!("{flag} is not known here"));
            }
            let value = rest.next().ok_or_else(|| format!("{flag} needs a value"))?;
            let whole = || value.parse::<u64>().map_err(|_| format!("{flag} {value}: a whole number is needed"));
            match &**flag {
                "--seeds" => seeds = Some(whole()?.max(1)),
                "--seed" => seed = Some(whole()?),
                "--threads" => threads = whole()?.clamp(1, 64) as usize,
                "--replay" => return Ok(Wanted::Replay(value.into())),
                _ => {
                    let parsed = value.parse::<f64>().ok().filter(|minutes| *minutes > 0.0 && *minutes < 1e6);
                    minutes = Some(parsed.ok_or_else(|| format!("{flag} {value}: a number above 0 is needed"))?);
                }
            }
        }
        let default = if minutes.is_some() {
            u64::MAX
        } else if seed.is_some() {
            1
        } else {
            200
        };
        let limit = minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
        Ok(Wanted::Campaign(Plan {
            first: seed.unwrap_or_else(from_the_time),
            seeds: seeds.unwrap_or(default),
            limit,
            threads,
        }))
    }

    fn from_the_time() -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| now.as_micros() as u64)
    }

    fn simulate(plan: &Plan) -> ExitCode {
        std::panic::set_hook(Box::new(|_| {}));
        eprintln!("seeds from {} on, {} threads", plan.first, plan.threads);
        let summary = campaign(plan, &tell);
        println!("{}", serde_json::to_string(&summary).unwrap_or_else(|error| error.to_string()));
        if summary.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// A failure: what, how to see it again, and where its smallest form is kept.
    fn tell(failure: &Failure) {
        let Failure { seed, problem, smallest: (scenario, smaller) } = failure;
        eprintln!("seed {seed}: {problem}\n  again: cargo xtask simulate --seed {seed}");
        match keep(scenario, smaller) {
            Ok(path) => eprintln!(
                "  smaller ({} events): {smaller}\n  again: cargo xtask simulate --replay {}",
                scenario.events.len(),
                path.display()
            ),
            Err(error) => eprintln!("  the smaller scenario cannot be written: {error}"),
        }
    }

    fn keep(scenario: &Scenario, problem: &str) -> std::io::Result<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashers/simulator");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.json", problem_name(problem)));
        std::fs::write(&path, serde_json::to_string(scenario)?)?;
        Ok(path)
    }

    fn replay(file: &Path) -> ExitCode {
        let scenario = std::fs::read_to_string(file).map_err(|error| error.to_string());
        let scenario = scenario.and_then(|text| serde_json::from_str::<Scenario>(&text).map_err(|e| e.to_string()));
        match scenario {
            Err(problem) => {
                eprintln!("error: {}: {problem}", file.display());
                ExitCode::from(2)
            }
            Ok(scenario) => {
                let outcome = run(&scenario);
                println!("trace {}, {} ms, {} operations", outcome.trace, outcome.simulated_ms, outcome.ops);
                match outcome.problem {
                    None => ExitCode::SUCCESS,
                    Some(problem) => {
                        eprintln!("{problem}");
                        ExitCode::FAILURE
                    }
                }
            }
        }
    }
}
