//! Making one edit of a tree. An edit that the tree must refuse has to be refused for the right reason.

use selvedge::{EditError, Handle, OpId, Transaction};

use super::super::What;
use super::{key, replica};

pub(super) fn edit(tx: &mut Transaction<'_>, handle: Handle, what: &What) -> Result<(), EditError> {
    let nodes = tx.doc().tree_at(handle).nodes();
    match what {
        What::TreeCreate { parent, index } => {
            let parent = top_or(&nodes, *parent);
            let count = children(tx, handle, parent).len();
            tx.tree_at(handle)?.create(parent, usize::from(*index) % (count + 1)).map(drop)
        }
        What::TreeMove { node, parent, index } => {
            let Some(node) = pick(&nodes, *node) else { return Ok(()) };
            let parent = top_or(&nodes, *parent);
            let others = children(tx, handle, parent).into_iter().filter(|child| *child != node).count();
            let cycle = lies_below(tx, handle, parent, node);
            let moved = tx.tree_at(handle)?.move_to(node, parent, usize::from(*index) % (others + 1));
            match moved {
                Err(EditError::WouldCycle { .. }) if cycle => Ok(()),
                Err(EditError::UnknownNode(unknown)) if unknown == node && !nodes.contains(&node) => Ok(()),
                Ok(()) if cycle => Err(EditError::Cancelled("a node was moved below itself".to_owned())),
                other => other,
            }
        }
        What::TreeRemove { node } => match nodes.get(usize::from(*node) % nodes.len().max(1)) {
            Some(node) => tx.tree_at(handle)?.remove(*node),
            None => Ok(()),
        },
        What::TreeData { node, key: at, value } => match nodes.get(usize::from(*node) % nodes.len().max(1)) {
            Some(node) => tx.tree_at(handle)?.map(*node)?.set(key(*at), value),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// A node of the tree; now and then any operation, which may have made a node that was removed since.
fn pick(nodes: &[OpId], number: u16) -> Option<OpId> {
    if number.is_multiple_of(4) {
        return Some(OpId { replica: replica((number / 4 % 5) as u8), seq: u64::from(number / 20 % 40) });
    }
    nodes.get(usize::from(number) % nodes.len().max(1)).copied()
}

fn top_or(nodes: &[OpId], number: u16) -> Option<OpId> {
    nodes.get(usize::from(number) % (nodes.len() + 1)).copied()
}

fn children(tx: &Transaction<'_>, handle: Handle, parent: Option<OpId>) -> Vec<OpId> {
    let tree = tx.doc().tree_at(handle);
    parent.map_or_else(|| tree.roots(), |parent| tree.children(parent))
}

fn lies_below(tx: &Transaction<'_>, handle: Handle, mut below: Option<OpId>, above: OpId) -> bool {
    while let Some(at) = below.filter(|at| *at != above) {
        below = tx.doc().tree_at(handle).parent(at);
    }
    below.is_some()
}
