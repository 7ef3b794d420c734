//! The Lambda function `authorizer`: its environment and the runtime.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let var = |name: &str| std::env::var(name).ok();
    telemetry::init(telemetry::Reader::CloudWatch, var);
    authorizer::run(var).await
}
