//! The program `wshub`: reads what it is asked for, and does it.

use std::process::ExitCode;

use wshub::cli::{self, Command, Invocation};
use wshub::{descriptors, logs, run};
use wshub_hub::Mode;

fn main() -> ExitCode {
    let Invocation { command, log } = cli::parse();
    let _logs = logs::start(&log);
    let ended = match command {
        Command::Check(text) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Command::Serve(config) => run::until_told(config, Mode::Hub, descriptors::raise()),
        Command::Echo(echo) => run::until_told(echo.config, Mode::Echo, descriptors::raise()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wshub: {}", logs::one_line(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}
