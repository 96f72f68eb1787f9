//! The section `actions`: what stands in place of findings.

use saphyr::{Scalar, YamlData};

use super::reader::{Node, Reader, line};
use super::{ACTION_KEYS, Config, MAX_KEEP, Named};
use crate::rules::{Action, Profile};

impl Reader {
    pub(super) fn actions(&mut self, node: &Node<'_>, config: &mut Config) {
        for (key, value) in self.known_entries(node, "actions", &ACTION_KEYS) {
            match key {
                "default" => config.default_action = self.action(value, "actions.default"),
                "profiles" => {
                    for (at, name, value) in self.entries(value, "actions.profiles") {
                        let profile = self.choice(at, "actions.profiles", &Profile::ALL, Profile::name);
                        let action = self.action(value, &format!("actions.profiles.{name}"));
                        config.by_profile.extend(profile.zip(action));
                    }
                }
                "tags" => config.by_tag = self.named_actions(value, "actions.tags"),
                _ => config.by_rule = self.named_actions(value, "actions.rules"),
            }
        }
    }

    fn named_actions(&mut self, node: &Node<'_>, item: &'static str) -> Vec<(Named, Action)> {
        let mut actions = Vec::new();
        for (at, name, value) in self.entries(node, item) {
            let named = Named { name: name.to_owned(), line: line(at), item };
            actions.extend(self.action(value, &format!("{item}.{name}")).map(|action| (named, action)));
        }
        actions
    }

    fn action(&mut self, node: &Node<'_>, item: &str) -> Option<Action> {
        if matches!(node.data, YamlData::Mapping(_)) {
            let (_, mask) = self.known_entries(node, item, &["mask"]).pop()?;
            let (_, keep) = self.known_entries(mask, item, &["keep"]).pop()?;
            return match keep.data {
                YamlData::Value(Scalar::Integer(keep @ 0..=4)) => Some(Action::Mask { keep: keep as u8 }),
                _ => {
                    self.fault(keep, item, format!("keep is a whole number from 0 to {MAX_KEEP}"));
                    None
                }
            };
        }
        let all = [Action::Replace, Action::Mask { keep: MAX_KEEP }, Action::Hash, Action::Remove];
        let named: Vec<(&'static str, Action)> = Action::NAMES.into_iter().zip(all).collect();
        self.choice(node, item, &named, |(name, _)| name).map(|(_, action)| action)
    }
}
