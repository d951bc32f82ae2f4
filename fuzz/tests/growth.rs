//! Bug class H: twice the work costs at most 2.3 times as much, whatever its shape. Memory is held everywhere; instructions,
//! which callgrind counts (they do not depend on the machine's load), where valgrind is: `cargo xtask setup` installs it.
//!
//! Not here: the shapes (`src/bin/growth.rs`).

use std::error::Error;
use std::process::Command;
use std::sync::Mutex;

type Counted<T> = Result<T, Box<dyn Error + Send + Sync>>;

const GROWTH: &str = env!("CARGO_BIN_EXE_growth");
const MOST: f64 = 2.3;

/// A command's output, if it succeeds.
fn output(command: &mut Command) -> Counted<(String, String)> {
    let done = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    if done.status.success() { Ok((out, err)) } else { Err(format!("{command:?}: {out}{err}").into()) }
}

fn peak_bytes(shape: &str, size: usize) -> Counted<f64> {
    Ok(output(Command::new(GROWTH).args([shape, &size.to_string()]))?.0.trim().parse()?)
}

fn instructions(shape: &str, size: usize) -> Counted<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=growth::measured"]);
    let (_, told) = output(valgrind.args([GROWTH, shape, &size.to_string()]))?;
    let counted = told.lines().find_map(|line| line.split_once("Collected : "));
    Ok(counted.ok_or("callgrind told no count")?.1.trim().parse()?)
}

/// How much more `count` says of twice the size.
fn growth(shape: &str, size: usize, count: fn(&str, usize) -> Counted<f64>) -> Counted<f64> {
    Ok(count(shape, 2 * size)? / count(shape, size)?)
}

#[test]
fn twice_the_work_costs_twice_as_much() -> Counted<()> {
    let (listed, _) = output(&mut Command::new(GROWTH))?;
    let shapes: Vec<(&str, usize)> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, size)| Ok((name, size.parse()?)))
        .collect::<Counted<_>>()?;
    assert!(shapes.len() >= 12, "{listed}");
    let counts = output(Command::new("valgrind").arg("--version")).is_ok();
    if !counts {
        println!("valgrind is missing: only memory is held");
    }
    let (todo, wrong) = (Mutex::new(shapes.into_iter()), Mutex::new(Vec::new()));
    let next = || todo.lock().ok().and_then(|mut todo| todo.next());
    std::thread::scope(|scope| {
        let workers = [(); 2].map(|()| {
            scope.spawn(|| -> Counted<()> {
                while let Some((shape, size)) = next() {
                    let memory = growth(shape, size, peak_bytes)?;
                    let work = if counts { growth(shape, size, instructions)? } else { 0.0 };
                    println!("{shape}, {size} to {}: memory {memory:.2}, instructions {work:.2}", 2 * size);
                    if memory.max(work) > MOST {
                        wrong
                            .lock()
                            .map_err(|_| "a worker panicked")?
                            .push(format!("{shape}: memory {memory:.2}, instructions {work:.2}"));
                    }
                }
                Ok(())
            })
        });
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked")?)
    })?;
    let wrong = wrong.into_inner().map_err(|_| "a worker panicked")?;
    assert!(wrong.is_empty(), "twice the size costs more than {MOST} times as much: {wrong:#?}");
    Ok(())
}
