//! `outcrop serve`.

use outcrop_server::Server;

use crate::args::ServeArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};

pub(crate) fn run(context: &Context, args: &ServeArgs) -> Result<Outcome, Failure> {
    context.wait(async {
        let server = Server::start(args.folder.as_ref(), args.bind).await?;
        context.say(&format!("serving `{}` at {} (Ctrl-C ends it)", args.folder, server.url()));
        server.wait().await;
        Ok::<_, outcrop_server::Error>(())
    })?;
    Ok(Outcome::Done)
}
