//! What does a comment under a statement add to it?

use super::open::{Awaits, Open, Reader, set_origin};
use crate::facts::{Call, Cast, Origin, Target};

impl Reader<'_> {
    /// Reads the comments under a statement: `+ span: …`, and `+ const_: Const { ty: …, val: … }` for each
    /// constant in the statement. The constant of the callee is the first one.
    pub(super) fn comment(&mut self, comment: &str, open: &mut Open) {
        if let Some(span) = comment.strip_prefix("+ span: ") {
            if open.awaits == Awaits::Callee
                && let Some(span) = self.span(span)
                && let Some(call) = open.body.calls.last_mut()
            {
                call.name = span;
            }
        } else if let Some(constant) = comment.strip_prefix("+ const_: Const { ty: ") {
            let ty = constant.rfind(", val: ").map_or(constant, |end| &constant[..end]);
            match std::mem::take(&mut open.awaits) {
                Awaits::Callee => {
                    let ty = self.string(ty);
                    if let Some(Call { callee: Target::Function(_, signature), .. }) =
                        open.body.calls.last_mut()
                    {
                        *signature = ty;
                    }
                }
                Awaits::CastOperand(to, place) => {
                    let from = self.string(ty);
                    open.body.casts.push(Cast { from, to });
                    set_origin(place, Some(vec![Origin::Type(from)]), open);
                }
                other => open.awaits = other,
            }
        } else if let Some(definition) = comment.strip_prefix("+ def_id: ")
            && open.awaits == Awaits::Definition
            && let Some(number) = definition.rsplit_once("{closure#")
            && let Ok(number) = number.1.trim_end_matches(['}', ')']).parse()
        {
            open.body.creates.push(number);
            open.awaits = Awaits::Nothing;
        }
    }
}
