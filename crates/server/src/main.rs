//! The program `wshub`: reads what it is asked for, and does it.

use std::io::{self, Write};
use std::process::ExitCode;

use wshub::cli::{self, Command, Invocation};
use wshub::drain::Farewell;
use wshub::{descriptors, logs, publish, run, tail};
use wshub_hub::Mode;

fn main() -> ExitCode {
    let Invocation { command, log } = cli::parse();
    let logs = logs::start(&log);
    let ended = match command {
        Command::Check(text) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Command::Tail(tail) => return tail::run(&tail),
        Command::Publish(publish) => return publish::run(publish),
        Command::Serve(config) => run::until_told(config, Mode::Hub, descriptors::raise()),
        Command::Echo(echo) => run::until_told(echo.config, Mode::Echo, descriptors::raise()),
    };
    // What is said here is the last that is said.
    drop(logs);
    match ended {
        Ok(Farewell { moved, lost }) => {
            // Where stdout is closed there is nobody to tell.
            let _ = writeln!(io::stdout(), "wshub: {moved} moved, {lost} lost");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("wshub: {}", logs::one_line(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}
