//! The Lambda function `fauna-feed`: its environment and the runtime.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let var = |name: &str| std::env::var(name).ok();
    telemetry::init(telemetry::Reader::CloudWatch, var);
    fauna_feed::run(var).await
}
