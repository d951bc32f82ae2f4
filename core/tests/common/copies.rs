//! Two copies of a document, for tests that look at documents from the outside: made, and brought to know the same.

use selvedge::{Doc, ReplicaId};

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn doc(id: u128) -> Doc {
    Doc::new(ReplicaId::from(id))
}

/// Each imports what it lacks; then they are equal, the marks of the text `t` too.
pub(crate) fn exchange(a: &mut Doc, b: &mut Doc) -> Outcome {
    b.import(&a.export_since(&b.version()))?;
    a.import(&b.export_since(&a.version()))?;
    assert_eq!(a.version(), b.version());
    assert_eq!(a.to_json(), b.to_json());
    assert_eq!(a.text("t").runs(), b.text("t").runs());
    assert_eq!(a.log_states().len(), b.log_states().len());
    Ok(())
}
