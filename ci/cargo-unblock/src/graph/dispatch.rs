//! How far are calls through `dyn`, function pointers and unknown parameters followed?

/// Which implementations a call through `dyn Trait`, `dyn Fn` or `fn` may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dispatch {
    /// None: such calls are taken to be harmless.
    None,
    /// Those whose type becomes that `dyn Trait` or `fn` somewhere in the workspace.
    #[default]
    Seen,
    /// Every implementation in the workspace, and for generic functions too that nobody calls.
    All,
}
