//! The Lambda function `authorizer`: its environment and the runtime.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    authorizer::run(|name| std::env::var(name).ok()).await
}
