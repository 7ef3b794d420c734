//! The Lambda function `connect`: its environment and the runtime.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let var = |name: &str| std::env::var(name).ok();
    telemetry::init(telemetry::Reader::CloudWatch, var);
    connect::run(var).await
}
