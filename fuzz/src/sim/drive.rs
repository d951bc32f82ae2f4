//! What a process does for its engine, as the drivers do it: changes are stored, loaded, imported and sent, and every
//! effect is held against what must be true when it is made.
//!
//! Always holds: effects are performed in order; what a disk was asked for is answered in that order, all that waited in
//! one commit; a crash takes everything that was not synced.

use selvedge::op::Batch;
use selvedge::store::{Append, Store};
use selvedge::sync::{ConnId, Effect, Grant, GrantRule, Input, RefuseCode, Rights, SyncStatus, Token};
use selvedge::{DocName, ReplicaId};

use super::copies::{Copy, Taken};
use super::node::{Job, Kind, Process};
use super::scenario::Point;
use super::tally::Fault;
use super::world::{Due, RELAY, World};

/// Most effects of one drain.
const MAX_EFFECTS: usize = 20_000;

/// Most bytes of a part of a history: what is large elsewhere is small here.
const MAX_PART_BYTES: usize = 1_000;

impl World {
    /// Starts the process of a device on its disk.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        let process = Process::new(self.nodes[node].config());
        self.nodes[node].process = Some(process);
        if node != RELAY {
            for doc in self.documents.clone() {
                self.open(node, doc);
            }
        }
        self.drain(node);
        for slot in 0..self.nodes[node].slots.len() {
            self.plan_dial(node, slot, 0, 200);
        }
    }

    /// Opens a document from the disk; tries again later if that cannot be read.
    pub(super) fn open(&mut self, node: usize, doc: DocName) {
        let Some(process) = &self.nodes[node].process else { return };
        if process.copies.contains_key(&doc) {
            return;
        }
        match self.load(node, &doc) {
            Ok(mut copy) => {
                let (state, owner) = (copy.state(), Some(copy.replica()));
                if let Some(process) = &mut self.nodes[node].process {
                    process.copies.insert(doc.clone(), copy);
                }
                self.input(node, Input::Opened { doc, state, presence_owner: owner });
            }
            Err(_) => {
                let epoch = self.nodes[node].epoch;
                self.after(5_000, Due::Open { node, epoch, doc });
            }
        }
    }

    /// What a disk holds of a document.
    ///
    /// # Errors
    /// If it cannot be read now. That it was read and is not whole is noted as a problem.
    fn load(&mut self, node: usize, doc: &DocName) -> Result<Copy, String> {
        let fresh = ReplicaId::from(self.random.id());
        let wall_ms = self.wall_ms(node);
        let device = &mut self.nodes[node];
        let records = match device.disk.read(doc, 0) {
            Ok(records) => records,
            Err(error) => {
                self.tally.add(Fault::FailedRead, 1);
                return Err(error.to_string());
            }
        };
        let replica = device.replica(doc, fresh);
        let whole = matches!(device.kind, Kind::Client | Kind::Tab | Kind::Previous).then_some(wall_ms);
        let suspect = device.suspect;
        match Copy::from_disk(&records, replica, whole) {
            Ok((copy, taken)) => {
                let everything = records.iter().filter_map(|record| Batch::decode(&record.bytes).ok());
                let everything: Vec<Batch> = everything.collect();
                for batch in everything.iter().filter(|_| taken.from_the_future) {
                    self.note(node, doc, batch, &taken);
                }
                let (has, synced) = (copy.version(), self.nodes[node].disk.durable(doc));
                if !has.includes(&synced) {
                    self.fail(format!("stored changes are lost: {doc} on device {node} had {synced:?}, has {has:?}"));
                }
                Ok(copy)
            }
            Err(problem) => {
                if !suspect {
                    self.fail(format!("what is stored is not whole: {doc} on device {node}: {problem}"));
                }
                Err(problem)
            }
        }
    }

    pub(super) fn input(&mut self, node: usize, input: Input) {
        let now_ms = self.steady_ms();
        if let Some(process) = &mut self.nodes[node].process {
            process.engine.handle(now_ms, input);
        }
    }

    /// Performs everything that the engine wants done.
    pub(super) fn drain(&mut self, node: usize) {
        for _ in 0..MAX_EFFECTS {
            let Some(process) = &mut self.nodes[node].process else { return };
            let Some(effect) = process.engine.poll_effect() else { return };
            self.perform(node, effect);
        }
        self.fail(format!("effects do not end: device {node}"));
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Send { conn, bytes } => self.send(node, conn, bytes),
            Effect::Close { conn, code, text } => self.closed_by_us(node, conn, code, &text),
            Effect::Authenticate { conn, credential } => self.authenticate(node, conn, credential.as_deref()),
            Effect::Open { doc } => self.ask_disk(node, Job::Read(doc)),
            Effect::Evict { doc } => {
                if let Some(process) = &mut self.nodes[node].process {
                    process.copies.remove(&doc);
                }
            }
            Effect::Persist { token, doc, batch } => self.persist(node, token, doc, batch),
            Effect::Load { token, doc, since, max_bytes } => {
                let copy = self.nodes[node].process.as_mut().and_then(|process| process.copies.get_mut(&doc));
                let answer = match copy {
                    Some(copy) => {
                        let batch = copy.part_since(&since, max_bytes.min(MAX_PART_BYTES));
                        Input::Loaded { token, batch, digests: copy.digests_at(&since) }
                    }
                    None => Input::LoadFailed { token, reason: "the document is not open".to_owned() },
                };
                self.input(node, answer);
            }
            Effect::Applied { doc, batch } => self.applied(node, &doc, &batch),
            Effect::Status { doc, status } => self.status(node, &doc, status),
            Effect::Refused { doc, code: RefuseCode::Fork, .. } => {
                // A relay serves others; it is the device at the other end that is told.
                if node != RELAY {
                    self.nodes[node].forked.insert(doc);
                }
            }
            Effect::SearchAsked { conn, doc, question } => {
                let copy = self.nodes[node].process.as_mut().and_then(|process| process.copies.get_mut(&doc));
                let answer = copy.and_then(|copy| copy.answer_search(&question));
                self.input(node, Input::SearchAnswer { conn, answer });
            }
            Effect::Forked { conn, doc } => self.forked(node, conn, doc),
            Effect::SearchAnswered { conn, doc, answer } => {
                if answer.is_some() {
                    self.go_on_searching(node, conn, doc, answer.as_deref());
                }
            }
            Effect::Acked { .. } | Effect::Presence { .. } | Effect::Refused { .. } => {}
            Effect::Asked { conn, .. } => self.input(node, Input::Answer { conn, answer: None }),
            Effect::Answered { .. } | Effect::News { .. } | Effect::Fetched { .. } => {
                self.fail(format!("device {node} is told of collections, and has asked nobody"));
            }
            Effect::Salvaged { doc, .. } => self.fail(format!("{doc} is not damaged on device {node}")),
        }
    }

    /// As the relay and the clients do: what does not fit is not stored.
    fn persist(&mut self, node: usize, token: Token, doc: DocName, batch: Batch) {
        if node == RELAY {
            let taken = self.take(node, &doc, &batch).unwrap_or_default();
            if let Some(fork) = taken.fork {
                return self.input(node, Input::Forked { doc, fork });
            }
            if let Some(reason) = taken.problem {
                return self.input(node, Input::PersistFailed { token, reason });
            }
        }
        self.ask_disk(node, Job::Append(token, doc, batch));
    }

    fn take(&mut self, node: usize, doc: &DocName, batch: &Batch) -> Option<Taken> {
        let wall_ms = self.wall_ms(node);
        let copy = self.nodes[node].process.as_mut()?.copies.get_mut(doc)?;
        if let Copy::Open(open) = copy {
            open.doc.set_now(wall_ms);
        }
        Some(copy.take(batch))
    }

    /// Changes of others arrived.
    fn applied(&mut self, node: usize, doc: &DocName, batch: &Batch) {
        if batch.is_empty() {
            self.fail(format!("nothing was handed out as changes: {doc} on device {node}"));
        }
        let before = self.nodes[node].process.as_ref().and_then(|process| process.copies.get(doc)).map(Copy::version);
        let (Some(before), Some(taken)) = (before, self.take(node, doc, batch)) else { return };
        // Where a writer exists twice, the relay may be handed what depends on its other life, and does not store it.
        let excused = self.nodes[node].suspect || (node == RELAY && !self.facts.twice.is_empty());
        if let Some(problem) = taken.problem.as_ref().filter(|_| !excused) {
            self.fail(format!("changes were handed out that do not fit: {doc} on device {node}: {problem}"));
        }
        if let Some(fork) = taken.fork.filter(|_| node == RELAY) {
            return self.input(node, Input::Forked { doc: doc.clone(), fork });
        }
        // A relay keeps what it was asked to store a moment before.
        let known = batch.segments.iter().any(|segment| before.end(segment.replica) > segment.first_seq);
        if known && node != RELAY && !excused {
            self.fail(format!("changes were handed out twice: {doc} on device {node}"));
        }
        self.note(node, doc, batch, &taken);
        let copy = self.nodes[node].process.as_mut().and_then(|process| process.copies.get_mut(doc));
        if let Some(Copy::Open(open)) = copy
            && let Err(problem) = open.follow()
        {
            self.fail(format!("the view does not follow {doc} on device {node}: {problem}"));
        }
    }

    fn note(&mut self, node: usize, doc: &DocName, batch: &Batch, taken: &Taken) {
        let wall_ms = self.wall_ms(node);
        if let Err(problem) = self.facts.told(doc, batch, taken.from_the_future, wall_ms) {
            self.fail(format!("{problem} (told to device {node})"));
        }
    }

    /// An application is told how safe its changes are: it must be true.
    fn status(&mut self, node: usize, doc: &DocName, status: SyncStatus) {
        let device = &self.nodes[node];
        let Some(copy) = device.process.as_ref().and_then(|process| process.copies.get(doc)) else { return };
        let (replica, version) = (copy.replica(), copy.version());
        let (stored, own) = (device.disk.durable(doc), version.end(replica));
        if device.suspect || !device.kind.is_honest() {
            return;
        }
        if status.saved && !stored.includes(&version) {
            self.fail(format!(
                "said to be saved and is not: {doc} on device {node} is {version:?}, its disk has {stored:?}"
            ));
        }
        let relayed = self.facts.relayed.get(doc).map_or(0, |relayed| relayed.end(replica));
        if status.durable && relayed < own {
            self.fail(format!(
                "said to be durable and is not: {doc} on device {node} up to {own}, the relay has {relayed}"
            ));
        } else if status.durable {
            self.facts.promised.entry(doc.clone()).or_default().raise(replica, own);
        }
    }

    fn authenticate(&mut self, node: usize, conn: ConnId, credential: Option<&str>) {
        let Some(peer) = self.peer(conn) else { return };
        let good = format!("{peer}:{}", self.nodes[peer].token.1);
        let grant = if credential == Some(&*good) {
            Ok(grant(self.nodes[peer].read_only))
        } else {
            Err("the token has expired".to_owned())
        };
        self.input(node, Input::Authenticated { conn, grant });
    }

    fn ask_disk(&mut self, node: usize, job: Job) {
        if let Some(process) = &mut self.nodes[node].process {
            process.jobs.push_back(job);
        }
        self.start_disk(node);
    }

    /// Hands the disk everything that waits, up to the next read.
    fn start_disk(&mut self, node: usize) {
        let epoch = self.nodes[node].epoch;
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.busy > 0 || process.jobs.is_empty() {
            return;
        }
        let appends = process.jobs.iter().take_while(|job| matches!(job, Job::Append(..))).count();
        process.busy = appends.max(1);
        let takes_ms = self.random.between(1, 40);
        self.after(takes_ms, Due::Disk { node, epoch });
    }

    /// The disk is done; the process hears of it a little later.
    pub(super) fn disk_done(&mut self, node: usize) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let busy = std::mem::take(&mut process.busy);
        let jobs: Vec<Job> = process.jobs.drain(..busy).collect();
        let mut records = Vec::new();
        for job in &jobs {
            if let Job::Append(_, doc, batch) = job {
                records.push(Append { doc: doc.clone(), bytes: batch.encode(), checkpoints: Vec::new() });
            }
        }
        if !records.is_empty() && self.spring(node, &records) {
            return;
        }
        let answers = if let [Job::Read(doc)] = &jobs[..] {
            vec![self.read(node, doc)]
        } else {
            self.append(node, &jobs, &records)
        };
        if let Some(process) = &mut self.nodes[node].process {
            process.answers.extend(answers);
        }
        let (epoch, takes_ms) = (self.nodes[node].epoch, self.random.between(1, 4));
        self.after(takes_ms, Due::Answers { node, epoch });
    }

    /// The power goes in this very write, if the scenario says so.
    fn spring(&mut self, node: usize, records: &[Append]) -> bool {
        let Some((point, ms)) = self.nodes[node].trap.take() else { return false };
        let is_tab = self.nodes[node].kind == Kind::Tab;
        let disk = &mut self.nodes[node].disk;
        let (fault, kept) = match point {
            // The browser goes on, and takes back what the tab has not finished.
            Point::BeforeFsync | Point::Torn if is_tab => (Fault::TabClosed, 0),
            Point::AfterFsync => {
                if disk.append(records).is_ok() && node == RELAY {
                    self.relayed(records);
                }
                (Fault::CrashAfterFsync, 0)
            }
            Point::BeforeFsync => {
                disk.write(records);
                (Fault::CrashBeforeFsync, 0)
            }
            Point::Torn => {
                disk.write(records);
                let (all, part) = (disk.unsynced() as u64, self.random.between(0, 2) == 0);
                (Fault::TornWrite, if part { self.random.between(1, all) } else { all } as usize)
            }
        };
        self.tally.add(fault, 1);
        self.crash(node, kept, ms);
        true
    }

    fn append(&mut self, node: usize, jobs: &[Job], records: &[Append]) -> Vec<Input> {
        let health = self.nodes[node].disk.health();
        let result = self.nodes[node].disk.append(records).map_err(|error| error.to_string());
        match (&result, health) {
            (Ok(()), _) if node == RELAY => self.relayed(records),
            (Ok(()), _) => {}
            (Err(_), super::disk::Health::Full) => self.tally.add(Fault::FullDisk, 1),
            (Err(_), _) => self.tally.add(Fault::FailedWrite, 1),
        }
        let answer = |job: &Job| match (job, &result) {
            (Job::Append(token, ..), Ok(())) => Some(Input::Persisted { token: *token }),
            (Job::Append(token, ..), Err(reason)) => {
                Some(Input::PersistFailed { token: *token, reason: reason.clone() })
            }
            (Job::Read(_), _) => None,
        };
        jobs.iter().filter_map(answer).collect()
    }

    fn relayed(&mut self, records: &[Append]) {
        for record in records {
            let durable = self.nodes[RELAY].disk.durable(&record.doc);
            self.facts.relayed.entry(record.doc.clone()).or_default().merge(&durable);
        }
    }

    fn read(&mut self, node: usize, doc: &DocName) -> Input {
        match self.load(node, doc) {
            Ok(mut copy) => {
                let state = copy.state();
                if let Some(process) = &mut self.nodes[node].process {
                    process.copies.insert(doc.clone(), copy);
                }
                Input::Opened { doc: doc.clone(), state, presence_owner: None }
            }
            Err(reason) => Input::OpenFailed { doc: doc.clone(), reason },
        }
    }

    /// The process hears what its disk has done.
    pub(super) fn answers(&mut self, node: usize) {
        let Some(process) = &mut self.nodes[node].process else { return };
        for input in std::mem::take(&mut process.answers) {
            self.input(node, input);
        }
        self.start_disk(node);
        self.drain(node);
    }

    /// The process is gone, with all that was not synced, and starts again after a while.
    pub(super) fn crash(&mut self, node: usize, kept: usize, ms: u64) {
        if self.nodes[node].process.take().is_none() {
            return;
        }
        self.tally.add(Fault::RelayRestart, usize::from(node == RELAY));
        self.nodes[node].epoch += 1;
        // Tabs share a disk, and the browser goes on when one of them ends.
        if self.nodes[node].kind != Kind::Tab {
            self.nodes[node].disk.crash(kept);
        }
        self.hang_up(node);
        self.after(ms.max(1), Due::Start { node });
    }
}

pub(super) fn grant(read_only: bool) -> Grant {
    let rights = Rights { read: true, write: !read_only };
    Grant { user: None, rules: vec![GrantRule { documents: "*".to_owned(), rights }] }
}
