//! The Lambda function `disconnect`: its environment and the runtime.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    disconnect::run(|name| std::env::var(name).ok()).await
}
