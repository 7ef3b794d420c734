//! The Lambda function `fan-out`: its environment and the runtime.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let var = |name: &str| std::env::var(name).ok();
    telemetry::init(telemetry::Reader::CloudWatch, var);
    telemetry::measure::init("fan-out");
    fan_out::run(var).await
}
