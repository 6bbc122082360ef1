//! Which of the settings are wrong, and what is left without them?
//!
//! serde stops at the first mistake. So we note the mistake and where the setting was set, leave the setting out, and
//! read all settings again, until the rest can be read.

use std::collections::{BTreeMap, BTreeSet};

use figment::error::{Actual, Error, Kind};
use figment::value::{Dict, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::faults::{Fault, Known, explain};
use super::layers::{Key, Setting, Sources, leaves, merged, respell, spelt, to_value};
use super::read::{Reading, Seen, Set, read};
use super::secret;
use super::sections::Config;

/// The largest number of texts with two meanings that are tried in all combinations. Higher: a start that must fail takes
/// seconds to fail. Lower: settings below a tagged enum or a flattened struct are refused although one combination is
/// right.
const TRIED_TOGETHER: usize = 6;

/// Everything that could be read, and the faults of the rest.
#[derive(Debug)]
pub(super) struct Settled<A> {
    /// None if even the defaults cannot be read.
    pub read: Option<(Config, A)>,
    /// Each value that was set, which means that it is not a default.
    pub set: BTreeMap<Key, Set>,
    /// The values that are secrets by their type.
    pub secrets: BTreeSet<Key>,
    pub faults: Vec<Fault>,
    pub known: Known,
    /// The known keys that are fields of structs.
    fields: BTreeSet<Key>,
}

/// Reads `settings` over `defaults`. If a key is set twice, the later setting wins.
pub(super) fn settle<A>(defaults: Value, settings: Vec<Setting>) -> Settled<A>
where
    A: Serialize + DeserializeOwned,
{
    let known = Known(leaves(&defaults).into_keys().collect());
    let settled = Settled {
        read: None,
        set: BTreeMap::new(),
        secrets: BTreeSet::new(),
        faults: Vec::new(),
        known,
        fields: BTreeSet::new(),
    };
    let mut work = Work {
        defaults,
        settings,
        second: BTreeSet::new(),
        dropped: Vec::new(),
        aliases: BTreeMap::new(),
        settled,
    };
    while !work.step() {}
    work.settled
}

struct Work<A> {
    defaults: Value,
    settings: Vec<Setting>,
    /// The texts with two meanings that are read the second way.
    second: BTreeSet<Key>,
    /// The settings that were left out.
    dropped: Vec<Key>,
    /// Fields that were set under another name. Their default was removed, so that the field does not have two values.
    aliases: BTreeMap<Key, Key>,
    settled: Settled<A>,
}

impl<A: Serialize + DeserializeOwned> Work<A> {
    fn attempt(
        &self,
        settings: &[Setting],
        second: &BTreeSet<Key>,
    ) -> (Result<(Config, A), Box<Error>>, Seen) {
        let figment = merged(&self.defaults, settings);
        let reading = Reading::new(&figment, second);
        let mut sections: Dict = figment.extract().unwrap_or_default();
        let app = sections.remove("app").unwrap_or_else(|| Value::from(Dict::new()));
        let app = read::<A>(&reading, vec!["app".to_owned()], app).map_err(Box::new);
        let engine = || read::<Config>(&reading, Key::new(), Value::from(sections)).map_err(Box::new);
        let read = app.and_then(|app| Ok((engine()?, app)));
        (read, reading.seen())
    }

    /// Reads all settings once. Returns whether the work is done.
    fn step(&mut self) -> bool {
        let (read, seen) = self.attempt(&self.settings, &self.second);
        self.settled.known.0.extend(seen.names.iter().cloned());
        self.settled.fields.extend(seen.names.iter().cloned());
        if respell(&mut self.settings, &self.settled.known.0) {
            return false;
        }
        for key in &seen.unknown {
            self.refuse(key, None);
        }
        match read {
            _ if !seen.unknown.is_empty() => false,
            Ok(read) => self.finish(read, seen),
            Err(error) => self.mend(&error, &seen),
        }
    }

    /// Checks what was read. Returns whether all settings are in it.
    fn finish(&mut self, (config, app): (Config, A), seen: Seen) -> bool {
        (self.settled.set, self.settled.secrets) = (seen.set, seen.secrets);
        let app_values = Value::from(Dict::from([("app".to_owned(), to_value(&app))]));
        let lost = self.lost(&leaves(&app_values).into_keys().collect());
        if !lost.is_empty() {
            lost.iter().for_each(|key| self.refuse(key, None));
            return false;
        }
        for (field, alias) in &self.aliases {
            let set: Vec<_> = self.settled.set.iter().filter(|(key, _)| key.starts_with(alias)).collect();
            let renamed = |(key, set): (&Key, &Set)| {
                ([&field[..], &key[alias.len()..]].concat(), Set { value: None, ..set.clone() })
            };
            let renamed: Vec<_> = set.into_iter().map(renamed).collect();
            self.settled.set.extend(renamed);
        }
        for setting in self.settings.clone() {
            let set = self.settled.set.get(&setting.key).filter(|set| set.origin == setting.origin);
            if let (Some(_), Err(reason)) = (set, config.in_range(&spelt(&setting.key))) {
                self.note(setting.origin, &setting.key, Some(reason));
            }
        }
        self.settled.read = Some((config, app));
        true
    }

    /// The settings that are in none of the values. serde does not report them, because a flattened struct and a tagged
    /// enum accept any key.
    fn lost(&self, there: &BTreeSet<Key>) -> Vec<Key> {
        let is_related = |a: &Key, b: &Key| a.starts_with(b) || b.starts_with(a);
        let is_there = |key: &Key| there.iter().any(|other| is_related(other, key));
        // An alias is a name of a field under which the field is read, but never written.
        let is_alias = |key: &Key| self.aliases.values().any(|alias| key.starts_with(alias));
        let is_field =
            |key: &Key| self.settled.fields.iter().any(|field| key.starts_with(field) && !is_there(field));
        let keys = self.settings.iter().map(|it| it.key.clone());
        keys.filter(|key| key[0] == "app" && !is_there(key) && !is_field(key) && !is_alias(key)).collect()
    }

    /// Finds another reading of the texts, or leaves out the setting that is wrong. Returns true if nothing helps.
    fn mend(&mut self, error: &Error, seen: &Seen) -> bool {
        let place = &error.path;
        if let Kind::DuplicateField(name) = error.kind {
            let name = [&place[..], &[name.to_owned()]].concat();
            if remove(&mut self.defaults, &name) {
                self.aliases.insert(name, seen.last.clone());
                return false;
            }
        }
        if let Some(second) = self.other_reading(place, seen) {
            self.second = second;
            return false;
        }
        if let Some(setting) = self.culprit(error) {
            let key = setting.key.clone();
            // The message may quote the value of another setting, so we do not repeat the value.
            let reason = explain(&key, None, &error.kind, &seen.secrets);
            self.refuse(&key, Some(reason));
            return false;
        }
        // A key may be missing because we have left it out. Then we leave out the table that it belongs to as well.
        if self.is_incomplete(place) && !matches!(error.kind, Kind::UnknownField(..)) {
            let mut table = &place[..];
            while !table.is_empty() && !self.leave_out(table) {
                table = &table[..table.len() - 1];
            }
            return table.is_empty();
        }
        let below = |name: &str| [&place[..], &[name.to_owned()]].concat();
        let is_of_default =
            || leaves(&self.defaults).keys().any(|key| key.starts_with(place) && key != place);
        let (cause, place, reason) = match &error.kind {
            Kind::MissingField(name) if is_of_default() => {
                (below(name), below(name), Some("is missing".to_owned()))
            }
            Kind::MissingField(name) => (place.clone(), below(name), Some("is missing".to_owned())),
            Kind::UnknownField(name, _) => (below(name), below(name), None),
            kind => {
                let whole = self.settings.iter().rfind(|it| it.key == *place);
                (place.clone(), place.clone(), Some(explain(place, whole, kind, &seen.secrets)))
            }
        };
        self.note(self.origins(&self.causes(&cause)), &place, reason);
        !self.leave_out(&cause)
    }

    /// Whether a part of what is at `place` was left out.
    fn is_incomplete(&self, place: &Key) -> bool {
        self.dropped.iter().any(|key| key.starts_with(place) && key != place)
    }

    /// Finds the setting that causes the mistake: without this setting, the mistake does not occur. Below a flattened
    /// struct or a tagged enum, serde does not say which setting is wrong.
    fn culprit(&self, error: &Error) -> Option<&Setting> {
        let place = &error.path;
        match error.kind {
            Kind::InvalidType(..) | Kind::InvalidValue(..) | Kind::UnknownVariant(..) => {}
            Kind::Message(_) if !self.is_incomplete(place) => {}
            _ => return None,
        }
        let parts = self.causes(place).into_iter().filter(|n| {
            let setting = &self.settings[*n];
            setting.key.len() > place.len() && may_be_of(&error.kind, &setting.value)
        });
        // If the message quotes a value, the setting counts as the cause even if something is missing without it.
        let is_told = !may_be_of(&error.kind, &Value::from(Dict::new()));
        let mut helps = parts.filter(|n| {
            let mut settings = self.settings.clone();
            settings.remove(*n);
            match self.attempt(&settings, &self.second).0 {
                Ok(_) => true,
                Err(other) if other.path.starts_with(place) => {
                    let follows = matches!(other.kind, Kind::MissingField(_) | Kind::Message(_));
                    other.kind != error.kind && (is_told || !follows)
                }
                Err(_) => true,
            }
        });
        helps.next().map(|n| &self.settings[n])
    }

    /// Chooses other meanings for the texts with two meanings, so that `place` can be read.
    fn other_reading(&self, place: &[String], seen: &Seen) -> Option<BTreeSet<Key>> {
        let below = seen.ambiguous.iter().filter(|key| key.starts_with(place) && !self.second.contains(*key));
        let texts: Vec<_> = below.take(TRIED_TOGETHER).collect();
        (1..1_u32 << texts.len()).find_map(|choice| {
            let chosen = texts.iter().enumerate().filter(|(bit, _)| choice & (1 << bit) != 0);
            let mut second = self.second.clone();
            second.extend(chosen.map(|(_, key)| (*key).clone()));
            let read = self.attempt(&self.settings, &second).0;
            let helps = read.map_or_else(|error| !error.path.starts_with(place), |_| true);
            helps.then_some(second)
        })
    }

    /// The settings that `place` comes from: the setting that `place` is a part of, or all settings that are parts of
    /// `place`.
    fn causes(&self, place: &[String]) -> Vec<usize> {
        match self.settings.iter().rposition(|it| place.starts_with(&it.key)) {
            Some(whole) => vec![whole],
            None => (0..self.settings.len()).filter(|n| self.settings[*n].key.starts_with(place)).collect(),
        }
    }

    fn origins(&self, causes: &[usize]) -> String {
        let mut origins: Vec<_> = causes.iter().map(|n| &*self.settings[*n].origin).collect();
        origins.dedup();
        if origins.is_empty() { "the default".to_owned() } else { origins.join(", ") }
    }

    /// Notes a fault, and leaves out the settings that caused it.
    fn refuse(&mut self, place: &[String], reason: Option<String>) {
        self.note(self.origins(&self.causes(place)), place, reason);
        self.leave_out(place);
    }

    /// Leaves out the settings that `place` comes from. Returns whether there were any.
    fn leave_out(&mut self, place: &[String]) -> bool {
        let causes = self.causes(place);
        for n in causes.iter().rev() {
            self.dropped.push(self.settings.remove(*n).key);
        }
        !causes.is_empty()
    }

    fn note(&mut self, origin: String, key: &[String], reason: Option<String>) {
        self.settled.faults.push(Fault { origin, key: key.to_vec(), reason });
    }
}

/// Whether the message may be about this value.
fn may_be_of(kind: &Kind, value: &Value) -> bool {
    match kind {
        Kind::InvalidType(Actual::Str(text), _) | Kind::InvalidValue(Actual::Str(text), _) => {
            value.as_str() == Some(&**text)
        }
        Kind::UnknownVariant(name, _) => value.as_str() == Some(&**name),
        Kind::InvalidType(Actual::Other(what), _) if what == secret::NOT_SHOWN => {
            value.as_str().is_none() && value.as_dict().is_none()
        }
        _ => true,
    }
}

/// Removes a value. Returns whether the value was there.
fn remove(value: &mut Value, key: &[String]) -> bool {
    match (value, key) {
        (Value::Dict(_, dict), [name]) => dict.remove(name).is_some(),
        (Value::Dict(_, dict), [name, rest @ ..]) => {
            dict.get_mut(name).is_some_and(|value| remove(value, rest))
        }
        _ => false,
    }
}

impl<A> Settled<A> {
    /// The faults as messages for the operator.
    pub fn texts(&self, sources: &Sources) -> impl Iterator<Item = String> {
        self.faults.iter().map(|fault| self.known.text(sources, fault))
    }
}
