//! Lanes: copies of the tree that stay at other prepare versions, so that long branches which arrive in turns do not move
//! one tree back and forth.
//!
//! A lane is opened once moving has cost as much as copying does, and closed when it was not used for as long. Always
//! holds: all trees have the same elements in the same order, deleted and hidden alike; what is new counts at the prepare
//! version of the tree in use alone. Not here: how a tree changes.

use super::Sequence;
use super::run::{Change, Run};
use super::tree::{Cursor, Tree};
use crate::graph::{Dot, Past};

/// Most lanes beside the tree in use.
const MOST: usize = 3;

/// Fewer records than this are moved without looking at the lanes.
const FAR: usize = 32;

/// How far an author's operations count at a prepare version, and where their elements were last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) log: u32,
    pub(super) prepared: u32,
    pub(super) near: Cursor,
}

#[derive(Clone, Debug)]
pub(super) struct Lane {
    tree: Tree,
    /// Ascending by log; who is not in it has not written yet.
    reached: Vec<Reached>,
    /// Where it was changed last.
    near: Cursor,
    /// Edits since it was used.
    idle: usize,
}

impl Sequence {
    /// Takes the tree into use that is nearest to `past`, and copies it if moving it costs too much again and again.
    pub(super) fn choose_lane(&mut self, past: &Past) {
        let mut distance = self.history.distance(past);
        if distance < FAR {
            return;
        }
        let distances = self.lanes.iter().map(|lane| self.history.distance_from(&lane.reached, past));
        if let Some((nearest, index)) = distances.zip(0..).min().filter(|(nearest, _)| *nearest < distance) {
            self.use_lane(index);
            distance = nearest;
        }
        self.moved += distance;
        if self.moved > self.tree.size() {
            self.moved = 0;
            if self.lanes.len() == MOST {
                let idle = self.lanes.iter().zip(0..).max_by_key(|(lane, _)| lane.idle);
                idle.map(|(_, index)| index).into_iter().for_each(|index: usize| drop(self.lanes.remove(index)));
            }
            self.lanes.push(Lane {
                tree: self.tree.clone(),
                reached: self.history.reached(),
                near: Cursor::START,
                idle: 0,
            });
        }
    }

    /// Puts the tree in use aside and takes up another.
    pub(super) fn use_lane(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        std::mem::swap(&mut self.tree, &mut lane.tree);
        lane.reached = self.history.exchange(&lane.reached);
        (lane.near, lane.idle) = (Cursor::START, 0);
    }

    /// Puts a run behind an element (`NONE`: at the beginning) in the other lanes, whose versions do not have it.
    pub(super) fn insert_in_lanes(&mut self, before: Dot, run: Run) {
        for lane in &mut self.lanes {
            let at = match before {
                Dot::NONE => Cursor::START,
                before => {
                    let at = lane.tree.locate(before);
                    Cursor { offset: at.offset + 1, ..at }
                }
            };
            lane.tree.insert(at, None, Run { prepare: 0, ..run });
        }
        self.close_lanes();
    }

    /// Changes elements in the other lanes, as far as the view is concerned.
    pub(super) fn change_in_lanes(&mut self, first: Dot, len: u32, gone: i32) {
        for lane in &mut self.lanes {
            change(&mut lane.tree, first, len, Change { prepare: 0, gone }, &mut lane.near);
        }
        self.close_lanes();
    }

    fn close_lanes(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.idle += 1);
        self.lanes.retain(|lane| lane.idle <= lane.tree.size());
    }
}

/// Changes a stretch of elements of one author; `near` is probably close to them, and then is.
pub(super) fn change(tree: &mut Tree, first: Dot, len: u32, by: Change, near: &mut Cursor) {
    let mut done = 0;
    while done < len {
        let at = tree.locate_near(*near, first.plus(done));
        let run = tree.run(at).expect("located");
        let part = (len - done).min(run.len - at.offset);
        *near = tree.update(at, part, by);
        done += part;
    }
}
