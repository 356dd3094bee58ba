//! The program: everything lives in the library, behind its front room.

fn main() -> std::process::ExitCode {
    demisto_install::cli::main()
}
