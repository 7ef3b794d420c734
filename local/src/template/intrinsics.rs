//! Intrinsic functions: from a property as it is written to the value that it has.
//!
//! Owns: `Ref`, `Fn::GetAtt`, `Fn::Join`, `Fn::Sub`, `Fn::Select`, `Fn::Split`, conditions, pseudo parameters.
//! Must not know: which property of which resource it is.
//! Source: CloudFormation's intrinsic function reference.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::queue::queue_url;

/// The account of everything that is emulated.
pub const ACCOUNT_ID: &str = "000000000000";
/// The region of everything that is emulated.
pub const REGION: &str = "us-east-1";

/// Nesting of intrinsics that is followed; CloudFormation's own templates are far flatter.
const DEPTH_MAX: usize = 64;

/// Resolves against one template.
pub(super) struct Resolver<'a> {
    resources: &'a Map<String, Value>,
    conditions: Option<&'a Map<String, Value>>,
    mappings: Option<&'a Map<String, Value>>,
    parameters: BTreeMap<&'a str, Value>,
}

/// The properties of a resource.
pub(super) fn properties(resource: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    resource.get("Properties").and_then(Value::as_object).unwrap_or(&NONE)
}

/// The id of the API with this logical id: ten letters and digits that stay the same.
pub(super) fn api_id(logical_id: &str) -> String {
    let letters = logical_id.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    letters.chain(std::iter::repeat('0')).take(10).collect()
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        template: &'a Value,
        resources: &'a Map<String, Value>,
        given: &BTreeMap<String, String>,
    ) -> Self {
        let declared = template.get("Parameters").and_then(Value::as_object);
        let value_of = |(name, parameter): (&'a String, &'a Value)| {
            let given = given.get(name).map(|value| Value::String(value.clone()));
            let value = given.or_else(|| parameter.get("Default").cloned());
            (name.as_str(), value.unwrap_or_else(|| Value::String(String::new())))
        };
        Self {
            resources,
            conditions: template.get("Conditions").and_then(Value::as_object),
            mappings: template.get("Mappings").and_then(Value::as_object),
            parameters: declared.into_iter().flatten().map(value_of).collect(),
        }
    }

    /// Whether a condition holds.
    pub(super) fn holds(&self, condition: &str) -> Result<bool, String> {
        self.named_condition(condition, 0)
    }

    /// The value of a property.
    pub(super) fn resolve(&self, value: &Value) -> Result<Value, String> {
        self.at_depth(value, 0)
    }

    fn at_depth(&self, value: &Value, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err("its functions are nested too deeply or without end".to_owned());
        }
        match value {
            Value::Object(fields) => match single(fields) {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => {
                    self.call(name, argument, depth + 1)
                }
                Some(_) | None => {
                    let fields =
                        fields.iter().map(|(name, value)| Ok((name.clone(), self.at_depth(value, depth + 1)?)));
                    Ok(Value::Object(fields.collect::<Result<_, String>>()?))
                }
            },
            Value::Array(values) => {
                Ok(Value::Array(values.iter().map(|value| self.at_depth(value, depth + 1)).collect::<Result<_, _>>()?))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }

    fn call(&self, name: &str, argument: &Value, depth: usize) -> Result<Value, String> {
        match name {
            "Ref" => self.reference(argument.as_str().ok_or("Ref takes a name")?, depth),
            "Fn::GetAtt" => {
                let parts: Vec<&str> = match argument {
                    Value::String(text) => text.splitn(2, '.').collect(),
                    Value::Array(parts) => parts.iter().filter_map(Value::as_str).collect(),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
                };
                let [logical_id, attribute] = parts.as_slice() else { return Err("Fn::GetAtt takes two names".into()) };
                self.attribute(logical_id, attribute, depth)
            }
            "Fn::Join" => {
                let argument = self.at_depth(argument, depth)?;
                let [Value::String(separator), Value::Array(values)] = list(&argument)? else {
                    return Err("Fn::Join takes a separator and a list".to_owned());
                };
                let texts: Vec<String> = values.iter().map(text).collect::<Result<_, _>>()?;
                Ok(Value::String(texts.join(separator)))
            }
            "Fn::Sub" => self.substitute(argument, depth),
            "Fn::Select" => {
                let argument = self.at_depth(argument, depth)?;
                let [index, Value::Array(values)] = list(&argument)? else {
                    return Err("Fn::Select takes an index and a list".to_owned());
                };
                let index: usize = text(index)?.parse().map_err(|_not_a_number| "Fn::Select takes a number")?;
                values.get(index).cloned().ok_or_else(|| format!("Fn::Select: there is no element {index}"))
            }
            "Fn::Split" => {
                let argument = self.at_depth(argument, depth)?;
                let [Value::String(separator), Value::String(whole)] = list(&argument)? else {
                    return Err("Fn::Split takes a separator and a string".to_owned());
                };
                Ok(whole.split(separator.as_str()).map(|part| Value::String(part.to_owned())).collect())
            }
            "Fn::If" => {
                let [Value::String(condition), if_true, if_false] = list(argument)? else {
                    return Err("Fn::If takes a condition and two values".to_owned());
                };
                let chosen = if self.named_condition(condition, depth)? { if_true } else { if_false };
                self.at_depth(chosen, depth)
            }
            "Fn::FindInMap" => {
                let argument = self.at_depth(argument, depth)?;
                let [map, first, second] = list(&argument)? else {
                    return Err("Fn::FindInMap takes a map and two keys".to_owned());
                };
                let map = self.mappings.and_then(|mappings| mappings.get(map.as_str()?));
                let found = map.and_then(|map| map.get(first.as_str()?)?.get(second.as_str()?));
                found.cloned().ok_or_else(|| format!("Fn::FindInMap: there is no {}", argument))
            }
            "Fn::ImportValue" => Err("Fn::ImportValue reads another stack, and there is only this one".to_owned()),
            other => Err(format!("{other} is not emulated")),
        }
    }

    fn reference(&self, name: &str, depth: usize) -> Result<Value, String> {
        let pseudo = match name {
            "AWS::Region" => REGION,
            "AWS::AccountId" => ACCOUNT_ID,
            "AWS::Partition" => "aws",
            "AWS::URLSuffix" => "amazonaws.com",
            "AWS::StackName" => "local",
            "AWS::StackId" => "arn:aws:cloudformation:us-east-1:000000000000:stack/local/local",
            "AWS::NoValue" => return Ok(Value::Null),
            _ => {
                return match self.parameters.get(name) {
                    Some(value) => Ok(value.clone()),
                    None => self.resource_reference(name, depth),
                };
            }
        };
        Ok(Value::String(pseudo.to_owned()))
    }

    /// What `Ref` gives for a resource: its physical name.
    fn resource_reference(&self, logical_id: &str, depth: usize) -> Result<Value, String> {
        let (kind, properties) = self.resource(logical_id)?;
        let name_property = match kind {
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::Lambda::Function" => "FunctionName",
            "AWS::ApiGatewayV2::Stage" => "StageName",
            "AWS::SQS::Queue" => {
                let name = self.named(logical_id, properties, "QueueName", depth)?;
                return Ok(Value::String(queue_url(&name)));
            }
            "AWS::ApiGatewayV2::Api" => return Ok(Value::String(api_id(logical_id))),
            _ => return Ok(Value::String(logical_id.to_owned())),
        };
        self.named(logical_id, properties, name_property, depth).map(Value::String)
    }

    fn named(
        &self,
        logical_id: &str,
        properties: &Map<String, Value>,
        property: &str,
        depth: usize,
    ) -> Result<String, String> {
        match properties.get(property) {
            Some(name) => text(&self.at_depth(name, depth + 1)?),
            None => Ok(logical_id.to_owned()),
        }
    }

    fn attribute(&self, logical_id: &str, attribute: &str, depth: usize) -> Result<Value, String> {
        let (kind, properties) = self.resource(logical_id)?;
        let name = |property| self.named(logical_id, properties, property, depth);
        let value = match (kind, attribute) {
            ("AWS::DynamoDB::Table", "Arn") => table_arn(&name("TableName")?),
            ("AWS::DynamoDB::Table", "StreamArn") => format!("{}/stream/local", table_arn(&name("TableName")?)),
            ("AWS::Lambda::Function", "Arn") => function_arn(&name("FunctionName")?),
            ("AWS::SQS::Queue", "Arn") => format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{}", name("QueueName")?),
            ("AWS::SQS::Queue", "QueueName") => name("QueueName")?,
            ("AWS::ApiGatewayV2::Api", "ApiEndpoint") => {
                format!("wss://{}.execute-api.{REGION}.amazonaws.com", api_id(logical_id))
            }
            (_, "Arn") => format!("arn:aws:local:{REGION}:{ACCOUNT_ID}:{logical_id}"),
            _ => return Err(format!("the attribute {attribute} of {logical_id} is not emulated")),
        };
        Ok(Value::String(value))
    }

    fn resource(&self, logical_id: &str) -> Result<(&str, &Map<String, Value>), String> {
        let resource = self.resources.get(logical_id).ok_or_else(|| format!("there is no {logical_id}"))?;
        Ok((resource.get("Type").and_then(Value::as_str).unwrap_or_default(), properties(resource)))
    }

    /// `${Name}`, `${Name.Attribute}` and `${!Literal}`, with variables of its own before all others.
    fn substitute(&self, argument: &Value, depth: usize) -> Result<Value, String> {
        let (whole, variables) = match argument {
            Value::String(whole) => (whole.as_str(), Value::Null),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(whole), variables] => (whole.as_str(), self.at_depth(variables, depth)?),
                _ => return Err("Fn::Sub takes a string and variables".to_owned()),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                return Err("Fn::Sub takes a string".to_owned());
            }
        };
        let (mut result, mut rest) = (String::new(), whole);
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or("Fn::Sub: a ${ is not closed")?;
            result.push_str(before);
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = variables.get(name) {
                result.push_str(&text(value)?);
            } else if let Some((logical_id, attribute)) = name.split_once('.') {
                result.push_str(&text(&self.attribute(logical_id, attribute, depth + 1)?)?);
            } else {
                result.push_str(&text(&self.reference(name, depth + 1)?)?);
            }
            rest = after;
        }
        Ok(Value::String(result + rest))
    }

    fn named_condition(&self, name: &str, depth: usize) -> Result<bool, String> {
        let condition = self.conditions.and_then(|conditions| conditions.get(name));
        self.condition(condition.ok_or_else(|| format!("there is no condition {name}"))?, depth + 1)
    }

    fn condition(&self, value: &Value, depth: usize) -> Result<bool, String> {
        if depth > DEPTH_MAX {
            return Err("its conditions are nested too deeply or without end".to_owned());
        }
        let (name, argument) = value.as_object().and_then(single).ok_or("a condition is one function")?;
        let each =
            || list(argument)?.iter().map(|value| self.condition(value, depth + 1)).collect::<Result<Vec<_>, _>>();
        match name.as_str() {
            "Condition" => self.named_condition(argument.as_str().ok_or("Condition takes a name")?, depth),
            "Fn::And" => Ok(each()?.into_iter().all(|truth| truth)),
            "Fn::Or" => Ok(each()?.into_iter().any(|truth| truth)),
            "Fn::Not" => Ok(!each()?.into_iter().all(|truth| truth)),
            "Fn::Equals" => match list(&self.at_depth(argument, depth)?)? {
                [left, right] => Ok(text(left)? == text(right)?),
                _ => Err("Fn::Equals takes two values".to_owned()),
            },
            other => Err(format!("{other} is no condition")),
        }
    }
}

/// The ARN of a table.
pub(super) fn table_arn(name: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{name}")
}

/// The ARN of a function.
pub(crate) fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}")
}

fn single(fields: &Map<String, Value>) -> Option<(&String, &Value)> {
    let mut fields = fields.iter();
    let first = fields.next()?;
    fields.next().is_none().then_some(first)
}

fn list(value: &Value) -> Result<&[Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| "a function takes a list".to_owned())
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err("a string was due".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(value: &Value) -> Result<Value, String> {
        let template = json!({
            "Parameters": {"Stage": {"Default": "live"}, "Given": {}, "Absent": {}},
            "Conditions": {"IsLive": {"Fn::Equals": [{"Ref": "Stage"}, "live"]},
                           "IsNot": {"Fn::Not": [{"Condition": "IsLive"}]},
                           "Loop": {"Condition": "Loop"}},
            "Mappings": {"Sizes": {"us-east-1": {"small": "1"}}},
            "Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "t-1"}},
                          "Api": {"Type": "AWS::ApiGatewayV2::Api"},
                          "Queue": {"Type": "AWS::SQS::Queue"}},
        });
        let given = BTreeMap::from([("Given".to_owned(), "mine".to_owned()), ("Unknown".to_owned(), "x".to_owned())]);
        Resolver::new(&template, template["Resources"].as_object().unwrap(), &given).resolve(value)
    }

    #[test]
    fn functions_have_their_values() {
        let cases = [
            (json!({"Ref": "Stage"}), json!("live")),
            (json!({"Ref": "Given"}), json!("mine")),
            (json!({"Ref": "Absent"}), json!("")),
            (json!({"Ref": "Table"}), json!("t-1")),
            (json!({"Ref": "Api"}), json!("api0000000")),
            (json!({"Ref": "AWS::NoValue"}), Value::Null),
            (json!({"Fn::GetAtt": ["Table", "Arn"]}), json!("arn:aws:dynamodb:us-east-1:000000000000:table/t-1")),
            (json!({"Fn::GetAtt": "Queue.Arn"}), json!("arn:aws:sqs:us-east-1:000000000000:Queue")),
            (json!({"Fn::Join": ["/", ["a", {"Ref": "Stage"}, 7]]}), json!("a/live/7")),
            (
                json!({"Fn::Sub": "${Stage}-${Table.Arn}-${!x}"}),
                json!("live-arn:aws:dynamodb:us-east-1:000000000000:table/t-1-${x}"),
            ),
            (json!({"Fn::Sub": ["${A}${Stage}", {"A": {"Ref": "Given"}}]}), json!("minelive")),
            (json!({"Fn::Select": ["1", {"Fn::Split": [",", "a,b"]}]}), json!("b")),
            (json!({"Fn::If": ["IsLive", "yes", "no"]}), json!("yes")),
            (json!({"Fn::If": ["IsNot", {"Fn::ImportValue": "x"}, "no"]}), json!("no")),
            (json!({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "small"]}), json!("1")),
            (json!([{"a": {"Ref": "Stage"}}]), json!([{"a": "live"}])),
        ];
        for (value, expected) in cases {
            assert_eq!(resolve(&value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_resolved_says_why() {
        let cases = [
            (json!({"Ref": "Nothing"}), "there is no Nothing"),
            (json!({"Fn::ImportValue": "x"}), "Fn::ImportValue reads another stack, and there is only this one"),
            (json!({"Fn::Cidr": []}), "Fn::Cidr is not emulated"),
            (json!({"Fn::GetAtt": ["Table", "Nothing"]}), "the attribute Nothing of Table is not emulated"),
            (json!({"Fn::If": ["Loop", 1, 2]}), "its conditions are nested too deeply or without end"),
            (json!({"Fn::Select": [2, ["a"]]}), "Fn::Select: there is no element 2"),
        ];
        for (value, reason) in cases {
            assert_eq!(resolve(&value), Err(reason.to_owned()), "{value}");
        }
    }
}
