//! The environment variables of a function.
//!
//! Owns: which there are, and that the platform's go before the template's.
//! Must not know: the process that gets them.
//! Source: Lambda developer guide, "Defined runtime environment variables"; the order is the Runtime Interface Emulator's.

use crate::{application::Function, template::REGION};

/// The access key and the secret of everything on the stack.
pub(crate) const CREDENTIAL: &str = "local";

/// All variables of a function but the Runtime API's address, which each sandbox has for itself.
pub(super) fn of(function: &Function, extra: &[(String, String)]) -> Vec<(String, String)> {
    let memory = function.memory_mb.to_string();
    let log_group = format!("/aws/lambda/{}", function.name);
    let platform = [
        ("AWS_ACCESS_KEY_ID", CREDENTIAL),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIAL),
        ("_HANDLER", &function.handler),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &log_group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("TZ", ":UTC"),
    ];
    let platform = platform.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let template = function.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    // What comes later goes before what comes earlier.
    template.chain(extra.iter().cloned()).chain(platform).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;

    #[test]
    fn a_template_cannot_override_the_platform() {
        let function = Function {
            logical_id: "F".into(),
            name: "f".into(),
            handler: "connect".into(),
            environment: [("AWS_REGION", "mars"), ("MINE", "1")].map(|(a, b)| (a.into(), b.into())).into(),
            time_out: Duration::from_secs(3),
            memory_mb: 128,
            concurrency_max: None,
        };
        let variables: BTreeMap<String, String> = of(&function, &[("EXTRA".into(), "2".into())]).into_iter().collect();
        let expected = [("AWS_REGION", REGION), ("MINE", "1"), ("EXTRA", "2"), ("_HANDLER", "connect")];
        for (name, value) in expected {
            assert_eq!(variables[name], value);
        }
    }
}
