//! `Tree`: nodes that can be moved, never into themselves, with ordered children.
//!
//! Every operation moves a node: out of nowhere (create), under a parent (move), into the trash (delete). All copies play the
//! moves in one order, by (depth, replica), and a move that would put a node below itself has no effect there. One that arrives
//! late is put in its place: what is behind it is taken back and played again, which are operations concurrent with it only
//! (Kleppmann et al., "A highly-available move operation for replicated trees", 2021), once for all the moves of a change.
//! Children stand in a sequence of slots; each move opens one, and the one of the node's last effective move is shown. Always
//! holds: once settled, the shown tree is what all moves make, and it is a tree. Not here: what is in a node (a map,
//! `containers`), how it is shown (`show`), bytes (`state`).

mod show;
mod state;

use super::sequence::Sequence;
use super::{Context, Event};
use crate::graph::{Dot, Past};
use crate::id::ReplicaId;
use crate::ordered::{OrdMap, sort_by_key};
use crate::planted::{self, Bug};

/// The number of the node above all others.
const TOP: u32 = 0;

/// The number of the node under which deleted nodes are, and those that do not exist yet.
const TRASH: u32 = 1;

/// Where a node is: the number of its parent, and its slot there (in the trash, the operation that removed it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    parent: u32,
    slot: Dot,
}

impl Spot {
    const TRASH: Self = Self { parent: TRASH, slot: Dot::NONE };
}

#[derive(Clone, Debug)]
struct Node {
    /// The operation that made it.
    dot: Dot,
    /// Where the moves have put it.
    played: Spot,
    /// Where the view has it.
    shown: Spot,
    /// Whether the moves have put it in the trash, and how deep: only while changes are shown.
    rank: Option<(bool, u32)>,
    /// The slots of its children, once it had any.
    slots: Option<Box<Sequence>>,
}

impl Node {
    fn new(dot: Dot) -> Self {
        Self { dot, played: Spot::TRASH, shown: Spot::TRASH, rank: None, slots: None }
    }
}

/// A move in the log of all moves.
#[derive(Clone, Copy, Debug)]
struct Move {
    lamport: u64,
    replica: ReplicaId,
    node: u32,
    to: Spot,
    /// Where the node was before.
    from: Spot,
}

/// Where a node was at some time, for somebody who may put it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Under which parent (`Some(None)` at the top), `None` if it was removed itself.
    pub(crate) parent: Option<Option<Dot>>,
    /// The operation that put it there.
    pub(crate) by: Dot,
    /// Whether it was in the tree: nothing above it was removed.
    pub(crate) is_shown: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TreeState {
    /// By number.
    nodes: Vec<Node>,
    numbers: OrdMap<Dot, u32>,
    /// The node of every slot.
    slots: OrdMap<Dot, u32>,
    /// In their order.
    moves: Vec<Move>,
    /// How many of them are played; those behind are taken back until the tree is settled.
    played: usize,
    /// The nodes that moves were played or taken back of since then.
    touched: Vec<u32>,
}

impl TreeState {
    pub(crate) fn new() -> Self {
        let bare = Node::new(Dot::NONE);
        Self {
            nodes: vec![bare.clone(), bare],
            numbers: OrdMap::new(),
            slots: OrdMap::new(),
            moves: Vec::new(),
            played: 0,
            touched: Vec::new(),
        }
    }

    /// Makes a node; `false` if the operation has not seen the parent or there is no such position.
    pub(crate) fn create(&mut self, context: &Context<'_>, parent: Option<Dot>, pos: u32) -> bool {
        let Some(parent) = self.seen(context, parent) else { return false };
        if !self.open_slot(context, parent, pos) {
            return false;
        }
        let node = self.nodes.len() as u32;
        self.nodes.push(Node::new(context.dot));
        self.numbers.insert(context.dot, node);
        self.slots.insert(context.dot, node);
        self.log(context, node, Spot { parent, slot: context.dot });
        true
    }

    /// Moves a node; `false` if the operation has not seen it or the parent, or there is no such position.
    pub(crate) fn move_to(&mut self, context: &Context<'_>, node: Dot, parent: Option<Dot>, pos: u32) -> bool {
        let (Some(node), Some(parent)) = (self.seen(context, Some(node)), self.seen(context, parent)) else {
            return false;
        };
        if !self.open_slot(context, parent, pos) {
            return false;
        }
        self.slots.insert(context.dot, node);
        self.log(context, node, Spot { parent, slot: context.dot });
        true
    }

    /// Moves a node into the trash; `false` if the operation has not seen it.
    pub(crate) fn delete(&mut self, context: &Context<'_>, node: Dot) -> bool {
        let Some(node) = self.seen(context, Some(node)) else { return false };
        self.log(context, node, Spot { parent: TRASH, slot: context.dot });
        true
    }

    /// The number of a node (the top for `None`) that the operation has seen.
    fn seen(&self, context: &Context<'_>, node: Option<Dot>) -> Option<u32> {
        match node {
            None => Some(TOP),
            Some(dot) => self.numbers.get(&dot).copied().filter(|_| context.past.contains(dot)),
        }
    }

    fn open_slot(&mut self, context: &Context<'_>, parent: u32, pos: u32) -> bool {
        let slots = self.nodes[parent as usize].slots.get_or_insert_with(|| Box::new(Sequence::new()));
        slots.prepare(context.past);
        slots.insert(context.dot, pos, 1, true, context.logs).is_some()
    }

    /// Puts a move in its place in the log, with those before it played and those behind it taken back.
    fn log(&mut self, context: &Context<'_>, node: u32, to: Spot) {
        let replica = context.logs.replica(context.dot.log);
        let key = (context.lamport, replica);
        let arrival = planted::is(Bug::TreePlaysInOrderOfArrival);
        let at = self.moves.partition_point(|other| (other.lamport, other.replica) < key || arrival);
        self.play(at);
        while self.played > at {
            self.played -= 1;
            let Move { node, from, .. } = self.moves[self.played];
            self.nodes[node as usize].played = from;
            self.touched.push(node);
        }
        self.moves.insert(at, Move { lamport: context.lamport, replica, node, to, from: Spot::TRASH });
    }

    /// Plays moves up to number `end`.
    fn play(&mut self, end: usize) {
        while self.played < end {
            let Move { node, to, .. } = self.moves[self.played];
            self.moves[self.played].from = self.nodes[node as usize].played;
            // Nothing is below a node that is only made now.
            let made_now = to.slot == self.nodes[node as usize].dot;
            let stays = planted::is(Bug::NodeLeavesTheTrash) && to.parent == TRASH;
            let fits = made_now || !self.is_below(to.parent, node, |node| node.played.parent);
            if !stays && (to.parent == TRASH || fits) {
                self.nodes[node as usize].played = to;
            }
            self.touched.push(node);
            self.played += 1;
        }
    }

    /// Plays what is taken back, and shows the tree that this makes. To be called before anybody reads.
    pub(crate) fn settle(&mut self, events: &mut Option<Vec<Event>>) {
        self.play(self.moves.len());
        let mut touched = std::mem::take(&mut self.touched);
        sort_by_key(&mut touched, |item| *item);
        touched.dedup();
        self.show(touched, events);
    }

    /// Whether `below` is `above` or anywhere below it.
    fn is_below(&self, mut below: u32, above: u32, parent: impl Fn(&Node) -> u32) -> bool {
        while below != above && below != TOP && below != TRASH {
            below = parent(&self.nodes[below as usize]);
        }
        below == above
    }

    fn is_shown(&self, node: u32) -> bool {
        self.is_below(node, TOP, |node| node.shown.parent)
    }

    fn number(&self, node: Option<Dot>) -> Option<u32> {
        node.map_or(Some(TOP), |dot| self.numbers.get(&dot).copied())
    }

    fn dot(&self, node: u32) -> Option<Dot> {
        (node != TOP).then(|| self.nodes[node as usize].dot)
    }

    /// Whether the tree ever had this node.
    pub(crate) fn has(&self, node: Dot) -> bool {
        self.numbers.contains_key(&node)
    }

    /// Whether the node is in the tree: neither it nor a node above it was deleted. O(depth).
    pub(crate) fn contains(&self, node: Dot) -> bool {
        self.numbers.get(&node).is_some_and(|node| self.is_shown(*node))
    }

    /// Whether node `below` is `above` or anywhere below it.
    pub(crate) fn is_inside(&self, below: Dot, above: Dot) -> bool {
        let numbers = self.number(Some(below)).zip(self.number(Some(above)));
        numbers.is_some_and(|(below, above)| self.is_below(below, above, |node| node.shown.parent))
    }

    /// The parent of a node that is in the tree, `Some(None)` at the top.
    pub(crate) fn parent(&self, node: Dot) -> Option<Option<Dot>> {
        let number = self.numbers.get(&node).filter(|number| self.is_shown(**number))?;
        Some(self.dot(self.nodes[*number as usize].shown.parent))
    }

    /// Where a node is, in the tree or not; `None` if the tree never had it.
    pub(crate) fn standing(&self, node: Dot) -> Option<Standing> {
        let number = *self.numbers.get(&node)?;
        let Spot { parent, slot } = self.nodes[number as usize].shown;
        let under = (parent != TRASH).then(|| self.dot(parent));
        Some(Standing { parent: under, by: slot, is_shown: self.is_shown(number) })
    }

    /// The place of a node among its siblings, if it is in the tree.
    pub(crate) fn index(&self, node: Dot) -> Option<u32> {
        let number = self.numbers.get(&node).filter(|number| self.is_shown(**number))?;
        let Spot { parent, slot } = self.nodes[*number as usize].shown;
        self.nodes[parent as usize].slots.as_ref()?.view_position(slot)
    }

    /// The number of children of a node, or of nodes at the top.
    pub(crate) fn len(&self, parent: Option<Dot>) -> u32 {
        self.siblings(parent).map_or(0, Sequence::len)
    }

    /// The children of a node, or the nodes at the top, in order.
    pub(crate) fn children(&self, parent: Option<Dot>) -> impl Iterator<Item = Dot> {
        let slots = self.siblings(parent).into_iter().flat_map(Sequence::elements);
        slots.filter_map(|slot| self.slots.get(&slot)).map(|node| self.nodes[*node as usize].dot)
    }

    /// The slots of the children of a node, or of the nodes at the top.
    pub(crate) fn siblings(&self, parent: Option<Dot>) -> Option<&Sequence> {
        self.nodes[self.number(parent)? as usize].slots.as_deref()
    }

    /// The slot position, for an operation that has seen everything, at which `node` becomes child number `index`.
    pub(crate) fn slot_position(&mut self, parent: Option<Dot>, node: Option<Dot>, index: u32) -> u32 {
        let Some(number) = self.number(parent) else { return 0 };
        let moved = node.filter(|node| self.parent(*node) == Some(parent)).and_then(|node| self.index(node));
        let Some(slots) = self.nodes[number as usize].slots.as_mut() else { return 0 };
        slots.prepare(&Past::everything());
        let before = index.checked_sub(1).map(|before| before + u32::from(moved.is_some_and(|at| at <= before)));
        before.and_then(|before| slots.element(before)).map_or(0, |slot| slots.prepared_position(slot) + 1)
    }
}
