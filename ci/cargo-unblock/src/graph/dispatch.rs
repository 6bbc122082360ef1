//! How far are calls through `dyn`, function pointers and unknown parameters followed?

/// Which implementations a call through `dyn Trait`, `dyn Fn` or `fn` may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dispatch {
    /// No implementation: such calls are taken to be harmless.
    None,
    /// The implementations whose type becomes that `dyn Trait` or `fn` somewhere in the workspace.
    #[default]
    Seen,
    /// Every implementation in the workspace. Generic functions that nobody calls are analysed too.
    All,
}
