//! A service of two nodes on loopback: reads its settings, follows a stream, logs in JSON, is
//! scraped, and leaves.

use std::error::Error;
use std::time::Duration;

use futures_util::StreamExt as _;
use rumormill::metrics::prometheus;
use rumormill::{Config, Event, Node, NodeList, Notice};
use serde::{Deserialize, Serialize};

/// The settings of a service, with those of the engine in a table of their own.
#[derive(Debug, Deserialize, Serialize)]
struct Settings {
    name: String,
    cluster: Config,
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a> {
    node: &'a Node,
    notice: &'a Notice,
}

fn settings(secret_file: &str) -> Result<Settings, toml::de::Error> {
    toml::from_str(&format!(
        "name = 'shop'\n[cluster]\ncycle = '250ms'\nsecret_key_file = '{secret_file}'\n"
    ))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("service-{}", std::process::id()));
    let secret: [u8; 32] = rand::random();
    std::fs::write(&file, secret)?;
    let read = settings(file.to_str().ok_or("a path in UTF-8")?);
    std::fs::remove_file(&file)?;
    let Settings { name, cluster } = read?;
    println!("{}", toml::to_string(&Settings { name, cluster: cluster.clone() })?);

    // It was built without, and says which feature that takes.
    let refused = Config::builder().state_dir("state").build().unwrap_err().to_string();
    assert!(refused.starts_with("`state_dir`: takes the feature `persist`"), "{refused}");

    let first = NodeList::new("127.0.0.1:0 A".parse::<Node>()?, cluster.clone())?;
    first.join().await?;
    let second = NodeList::new("127.0.0.1:0 B".parse::<Node>()?, cluster)?;
    second.set(first.node().addr().to_string())?;
    second.join().await?;
    let follower = second.clone();
    let followed = tokio::spawn(async move { follow(&follower).await });
    first.publish(format!("limit={}", rand::random_range(1..10))).await?;
    tokio::time::timeout(Duration::from_secs(10), followed).await???;

    second.leave().await?;
    print!("{}", prometheus(first.stats().readings()));
    first.leave().await?;
    Ok(())
}

/// Logs until a value has come.
async fn follow(list: &NodeList) -> Result<(), String> {
    let mut changes = list.subscribe();
    while let Some(notice) = changes.next().await {
        let line = Line { node: &list.node(), notice: &notice };
        println!("{}", serde_json::to_string(&line).map_err(|error| error.to_string())?);
        if let Notice::Event(Event::Published(_)) = notice {
            return Ok(());
        }
    }
    Err("the node ended before a value came".to_owned())
}
