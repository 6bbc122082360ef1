//! What does a call do that the list knows?
//!
//! It blocks, or it takes a closure to another thread or to the event loop, or it depends on what the call is given.

use super::nodes::{Found, Graph, To};
use crate::list::Tier;
use crate::types::{Name, Ty, TyId};

impl Graph<'_> {
    pub(super) fn listed(
        &mut self,
        entry: usize,
        path: &str,
        owner: &[TyId],
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) {
        self.listed_as(entry, path, path.to_owned(), owner, own, given, found);
    }

    #[expect(clippy::too_many_arguments, reason = "a call has so many parts")]
    pub(super) fn listed_as(
        &mut self,
        entry: usize,
        path: &str,
        shown: String,
        owner: &[TyId],
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) {
        match self.list.entries[entry].tier {
            // The closure runs on another thread, or in a task that calls it later.
            tier @ (Tier::Offload | Tier::Loop) => {
                let mut elsewhere = Found::default();
                own.iter().chain(given).for_each(|&ty| self.run_value(ty, &mut elsewhere));
                let nodes = elsewhere.to.iter().filter_map(|to| match to {
                    To::Node(node) => Some(*node),
                    To::Blocking(..) => None,
                });
                match tier {
                    Tier::Offload => self.offloaded.extend(nodes),
                    _ => self.called_by_loop.extend(nodes),
                }
            }
            Tier::Calls => {
                found.polled.extend(self.coroutines(own.iter().chain(given)));
                self.external(path, None, own, given, owner, found);
            }
            Tier::Reader => {
                let before = found.to.len();
                for &ty in owner.iter().chain(own) {
                    self.read_from(ty, &shown, found);
                }
                if found.to.len() == before {
                    self.external(path, owner.first().copied(), own, given, &[], found);
                }
                // A call that copies from one file to another is still one finding.
                let mut seen = false;
                found.to.retain(|to| {
                    !matches!(to, To::Blocking(_, text) if *text == shown)
                        || !std::mem::replace(&mut seen, true)
                });
            }
            Tier::Bounded => {
                let crate_name = path.split("::").next().unwrap_or(path);
                let maker = self.program.types.find_name(&format!("{crate_name}::bounded"));
                if maker.is_some() {
                    self.blocks(entry, shown, found);
                }
            }
            Tier::Resolve => {
                let names = ["str", "std::string::String"];
                let mut by_name = false;
                for &ty in owner {
                    self.program.types.walk(ty, &mut |part, _| {
                        by_name |= matches!(part, Ty::Path(name, _) if names.contains(&self.program.types.text(*name)));
                        true
                    });
                }
                if by_name {
                    self.blocks(entry, shown, found);
                }
            }
            tier => {
                // The `block_on` of a runtime is an event loop. The others only drive the future that they
                // are given.
                if self.list.entries[entry].category == "block_on"
                    && !path.starts_with("tokio::runtime::Runtime")
                {
                    found.driven.extend(self.coroutines(own.iter().chain(given)));
                }
                if self.list.reports(tier) {
                    self.blocks(entry, shown, found);
                } else {
                    self.external(path, None, own, given, &[], found);
                }
            }
        }
    }

    /// The async bodies among what a call is given.
    fn coroutines<'t>(&self, types: impl Iterator<Item = &'t TyId>) -> Vec<Name> {
        let name = |&ty: &TyId| match *self.program.types.ty(self.program.pointee(ty)) {
            Ty::Coroutine(name) => Some(name),
            _ => None,
        };
        types.filter_map(name).collect()
    }

    pub(super) fn blocks(&mut self, entry: usize, shown: String, found: &mut Found) {
        if self.list.reports(self.list.entries[entry].tier) {
            found.to.push(To::Blocking(entry, shown));
        }
    }
}
