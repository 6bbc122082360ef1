//! Which imports form a circle?

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::Import;

/// Files or folders that import each other in this order. The last of them imports the first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Circle {
    pub steps: Vec<Step>,
}

/// One file or folder of a circle, and why it needs the next one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    pub name: String,
    pub imports: Vec<Import>,
}

/// So many imports of a step are printed. Higher: a circle of two folders fills a screen. Lower: a person who mends the
/// circle has to run the test again to see the rest.
const PRINTED: usize = 6;

/// The circles between the parts to which `part_of` assigns the files. The shortest circle comes first. Each import
/// that is part of a circle is in at least one of the circles.
pub fn circles(imports: &[Import], part_of: impl Fn(&str) -> String) -> Vec<Circle> {
    let mut steps: BTreeMap<String, BTreeMap<String, Vec<Import>>> = BTreeMap::new();
    for import in imports {
        let (from, to) = (part_of(&import.from), part_of(&import.to));
        if from != to {
            steps.entry(from).or_default().entry(to).or_default().push(import.clone());
        }
    }
    let mut found = BTreeSet::new();
    for (from, next) in &steps {
        for to in next.keys() {
            let Some(mut way) = shortest(&steps, to, from) else { continue };
            // A circle is the same circle from each of its members on.
            let first = (0..way.len()).min_by_key(|&at| way[at]).unwrap();
            way.rotate_left(first);
            found.insert((way.len(), way));
        }
    }
    let circle = |(_, way): (usize, Vec<&String>)| {
        let pairs = way.iter().zip(way.iter().cycle().skip(1));
        let step = |(&name, &next): (&&String, &&String)| {
            let imports = steps[name][next].clone();
            Step { name: name.clone(), imports }
        };
        Circle { steps: pairs.map(step).collect() }
    };
    found.into_iter().map(circle).collect()
}

/// The shortest way from one part to another. Both are included.
fn shortest<'a>(
    steps: &'a BTreeMap<String, BTreeMap<String, Vec<Import>>>,
    from: &'a String,
    to: &str,
) -> Option<Vec<&'a String>> {
    let mut before: BTreeMap<&String, Option<&String>> = BTreeMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            let mut way: Vec<_> = std::iter::successors(Some(at), |at| before[*at]).collect();
            way.reverse();
            return Some(way);
        }
        for next in steps.get(at).into_iter().flat_map(BTreeMap::keys) {
            if !before.contains_key(next) {
                before.insert(next, Some(at));
                queue.push_back(next);
            }
        }
    }
    None
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            let next = &self.steps[(at + 1) % self.steps.len()].name;
            writeln!(f, "{} needs {next}:", step.name)?;
            for import in step.imports.iter().take(PRINTED) {
                writeln!(f, "    {}:{}: {} is in {}", import.from, import.line, import.path, import.to)?;
            }
            if let Some(more @ 1..) = step.imports.len().checked_sub(PRINTED) {
                writeln!(f, "    and {more} more")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Crate, top_level};
    use super::*;

    const ROOT: (&str, &str) = ("lib.rs", "mod a;\nmod b;\nmod c;");

    fn names(circles: &[Circle]) -> Vec<Vec<&str>> {
        circles.iter().map(|circle| circle.steps.iter().map(|step| step.name.as_str()).collect()).collect()
    }

    #[test]
    fn a_circle_is_found_and_says_where_each_of_its_imports_is() {
        let files = [
            ROOT,
            ("a.rs", "use crate::b::B;\npub struct A;"),
            ("b.rs", "pub struct B;\nfn f(_: super::c::C) {}"),
            ("c.rs", "use std::fmt;\n\nuse crate::{\n    a::A,\n};\npub struct C;"),
        ];
        let found = circles(&Crate::of(&files).imports(), str::to_owned);
        assert_eq!(names(&found), [["a.rs", "b.rs", "c.rs"]]);
        assert_eq!(
            found[0].to_string(),
            "a.rs needs b.rs:\n    a.rs:1: crate::b::B is in b.rs\n\
             b.rs needs c.rs:\n    b.rs:2: super::c::C is in c.rs\n\
             c.rs needs a.rs:\n    c.rs:4: crate::a::A is in a.rs\n"
        );
    }

    #[test]
    fn two_ways_to_one_file_are_no_circle() {
        let files = [
            ROOT,
            ("a.rs", "use crate::b::B;\nuse crate::c::C;"),
            ("b.rs", "use crate::c::C;\npub struct B;"),
            ("c.rs", "pub struct C;"),
        ];
        assert_eq!(circles(&Crate::of(&files).imports(), str::to_owned), []);
    }

    #[test]
    fn a_re_export_of_a_sibling_closes_no_circle_with_the_parent() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod one;\nmod two;\npub use self::one::One;\nuse self::two::Two;"),
            ("a/one.rs", "pub struct One;"),
            ("a/two.rs", "use super::One;\npub struct Two;"),
        ];
        assert_eq!(circles(&Crate::of(&files).imports(), str::to_owned), []);
        // The same name, defined in the parent, is a circle.
        let mut changed = files;
        changed[1].1 = "mod two;\npub struct One;\nuse self::two::Two;";
        let found = circles(&Crate::of(&changed).imports(), str::to_owned);
        assert_eq!(names(&found), [["a/mod.rs", "a/two.rs"]]);
    }

    #[test]
    fn folders_may_be_in_a_circle_that_their_files_are_not_in() {
        let files = [
            ("lib.rs", "mod a;\nmod b;"),
            ("a/mod.rs", "mod one;\nmod two;"),
            ("a/one.rs", "use crate::b::B;"),
            ("a/two.rs", "pub struct Two;"),
            ("b.rs", "use crate::a::two::Two;\npub struct B;"),
        ];
        let imports = Crate::of(&files).imports();
        assert_eq!(circles(&imports, str::to_owned), []);
        assert_eq!(names(&circles(&imports, top_level)), [["a", "b"]]);
    }
}
