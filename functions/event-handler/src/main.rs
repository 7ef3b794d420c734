//! The Lambda function `event-handler`: its environment and the runtime.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let var = |name: &str| std::env::var(name).ok();
    telemetry::init(telemetry::Reader::CloudWatch, var);
    telemetry::measure::init("event-handler");
    event_handler::run(var).await
}
