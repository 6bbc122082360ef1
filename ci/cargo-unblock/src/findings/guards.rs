//! Which locks are held while a task is suspended?

use super::search::Search;
use super::{Finding, Kind, Step};
use crate::graph::NodeId;
use crate::list::Tier;
use crate::program::What;
use crate::types::Ty;

impl Search<'_, '_> {
    pub(super) fn guards(&mut self, start: NodeId) {
        let graph = self.graph;
        let body = graph.nodes[start].body;
        // The facts of a body say which guards it keeps, whatever its generic parameters stand for.
        if !graph.nodes[start].subst.is_empty() {
            return;
        }
        let facts = graph.program.facts(body);
        let place = |span| graph.program.place(body, span, 0, self.root);
        let mut first = true;
        for (kept, &ty) in facts.kept.iter().zip(&graph.program.bodies[body].kept) {
            let Some(entry) = self.guard_in(ty) else { continue };
            let lock = graph.program.bodies[body].calls.iter().find(|call| {
                let near = kept.span.encloses(&call.span) || call.span.encloses(&kept.span);
                let What::Function(callee, _) = &call.what else { return false };
                near && graph.list.get(&graph.program.types.show_callee(callee), &[Tier::Guard]).is_some()
            });
            // A guard that comes from another place is reported there.
            if lock.is_none() && !std::mem::replace(&mut first, false) {
                continue;
            }
            first = false;
            let span = lock.map_or(kept.span, |call| call.name);
            let at = place(span);
            let path = graph.list.entries[entry].path.clone();
            if !self.seen.insert((at.clone(), String::new(), path.clone())) {
                continue;
            }
            let within = graph.body(start).shown.clone();
            let held = place(kept.span);
            let suspended =
                facts.suspends.iter().find(|suspend| suspend.state == kept.state).map(|suspend| suspend.span);
            if let Some(allow) =
                self.allows.at(&at.file, at.line).or_else(|| self.allows.at(&held.file, held.line))
            {
                self.allows.used(allow);
                continue;
            }
            let mut steps = vec![Step { place: at.clone(), within: within.clone(), calls: path.clone() }];
            if let Some(span) = suspended {
                steps.push(Step { place: place(span), within: within.clone(), calls: ".await".to_owned() });
            }
            self.findings.push(Finding {
                kind: Kind::Guard,
                place: at,
                within: within.clone(),
                path,
                category: graph.list.entries[entry].category.clone(),
                instead: graph.list.entries[entry].instead(),
                steps,
                cause: within,
                calls_in_cause: 1,
            });
        }
    }

    /// The guard that the type is or holds.
    fn guard_in(&self, ty: crate::types::TyId) -> Option<usize> {
        let types = &self.graph.program.types;
        let mut found = None;
        let mut own = Vec::new();
        types.walk(ty, &mut |part, _| match part {
            Ty::Path(name, _) => {
                found = found.or_else(|| self.graph.list.get(types.text(*name), &[Tier::Held]));
                if self.graph.program.is_own_crate(*name) {
                    own.push(*name);
                }
                found.is_none()
            }
            Ty::Ref(_) => false,
            _ => true,
        });
        if found.is_some() {
            return found;
        }
        // A struct of the project may hold a guard. The words of its definition tell.
        own.iter().find_map(|name| {
            let last = types.text(*name).rsplit("::").next().unwrap_or("");
            let words = self.graph.program.fields.get(last).filter(|words| !words.contains("tokio"))?;
            let held = |path: &str| words.contains(path.rsplit("::").next().unwrap_or(path));
            let entries = &self.graph.list.entries;
            entries.iter().position(|entry| entry.tier == Tier::Held && held(&entry.path))
        })
    }
}
