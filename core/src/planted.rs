//! Bugs that are planted on purpose, one at a time, to see whether the simulator finds them (docs/planted-bugs.md).
//!
//! Always holds: without the feature `planted` there are none, and asking costs nothing. With it, a thread has at most
//! one. Not here: what a bug does; that stands where the right code stands.

/// A bug, by what it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "docs/planted-bugs.md tells what each does")]
pub enum Bug {
    RegisterKeepsTheLastArrival,
    SetRemovesTheUnseen,
    CounterResetTakesTheUnseen,
    TreePlaysInOrderOfArrival,
    MarkIsNeverReplaced,
    SentBeforeStored,
    DependencyNotChecked,
    PeerVersionOffByOne,
    LoadCutOffByOne,
    DigestsAlwaysAgree,
    DurableBeforeStored,
    SentIsForgotten,
    DamagedFrameIsPassedOver,
    FrameIsReadAsFarAsItGoes,
    RightToWriteNotChecked,
    RecordNotChecked,
    FailedWriteIsDropped,
    LaterWritesCountAsStored,
    RemoteTimeIgnored,
    FarFutureIsTrusted,
    ClockFollowsTheWallBack,
    RemovalForgotten,
    UndoForgetsTheLastCharacter,
    NodeLeavesTheTrash,
    ForkIsNotTold,
}

#[cfg(feature = "planted")]
impl Bug {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::RegisterKeepsTheLastArrival,
        Self::SetRemovesTheUnseen,
        Self::CounterResetTakesTheUnseen,
        Self::TreePlaysInOrderOfArrival,
        Self::MarkIsNeverReplaced,
        Self::SentBeforeStored,
        Self::DependencyNotChecked,
        Self::PeerVersionOffByOne,
        Self::LoadCutOffByOne,
        Self::DigestsAlwaysAgree,
        Self::DurableBeforeStored,
        Self::SentIsForgotten,
        Self::DamagedFrameIsPassedOver,
        Self::FrameIsReadAsFarAsItGoes,
        Self::RightToWriteNotChecked,
        Self::RecordNotChecked,
        Self::FailedWriteIsDropped,
        Self::LaterWritesCountAsStored,
        Self::RemoteTimeIgnored,
        Self::FarFutureIsTrusted,
        Self::ClockFollowsTheWallBack,
        Self::RemovalForgotten,
        Self::UndoForgetsTheLastCharacter,
        Self::NodeLeavesTheTrash,
        Self::ForkIsNotTold,
    ];
}

#[cfg(feature = "planted")]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in this thread, in place of the one that was there.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether the bug is planted.
#[cfg(feature = "planted")]
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether the bug is planted: without the feature, none is.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
