//! The Lambda function `connect`: its environment and the runtime.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    connect::run(|name| std::env::var(name).ok()).await
}
