//! The service's account, through the system's own tools (shadow-utils), in any root.

use super::{Context, Result};
use crate::host::Accounts;
use crate::journal::Before;
use crate::product;
use crate::sys;
use crate::sys::fault;
use crate::sys::process::Tool;

fn tool(context: &Context, name: &str) -> Result<Tool> {
    fault::point("account").map_err(|e| sys::Error::new("run", std::path::Path::new(name), e))?;
    let tool = Tool::system(name)?;
    Ok(if context.is_live() { tool } else { tool.arg("--prefix").arg(context.root) })
}

pub(super) fn create_group(context: &Context, name: &str, before: &Before) -> Result<()> {
    if *before == Before::Kept {
        return Ok(());
    }
    tool(context, "groupadd")?.args(["--system", name]).check()?;
    Ok(())
}

pub(super) fn create_user(
    context: &Context,
    name: &str,
    group: &str,
    home: &str,
    before: &Before,
) -> Result<()> {
    if *before == Before::Kept {
        return Ok(());
    }
    add_user(context, name, group, home, None)
}

fn add_user(context: &Context, name: &str, group: &str, home: &str, uid: Option<u32>) -> Result<()> {
    let mut call =
        tool(context, "useradd")?.args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]);
    call = call.args(["--gid", group, "--home-dir", home, "--comment", "Cortex XSOAR service"]);
    if let Some(uid) = uid {
        call = call.arg("--uid").arg(uid.to_string());
    }
    call.arg(name).check()?;
    Ok(())
}

pub(super) fn remove_user(context: &Context, name: &str) -> Result<()> {
    let accounts = Accounts::look_up(context.root, name)?;
    if accounts.uid.is_none() {
        return Ok(());
    }
    if let Some(uid) = accounts.uid.filter(|_| context.is_live()) {
        sys::process::end_all_of(uid); // userdel refuses while one is left
    }
    tool(context, "userdel")?.arg(name).check()?;
    // userdel takes a group of the same name with it (USERGROUPS_ENAB, login.defs(5))
    match (accounts.gid, Accounts::look_up(context.root, name)?.gid) {
        (Some(gid), None) => restore_group(context, name, gid),
        _ => Ok(()),
    }
}

pub(super) fn remove_group(context: &Context, name: &str) -> Result<()> {
    if Accounts::look_up(context.root, name)?.gid.is_some() {
        tool(context, "groupdel")?.arg(name).check()?;
    }
    Ok(())
}

pub(super) fn restore_user(context: &Context, name: &str, uid: u32) -> Result<()> {
    if Accounts::look_up(context.root, name)?.uid.is_some() {
        return Ok(());
    }
    add_user(context, name, name, product::DATA_DIR, Some(uid))
}

pub(super) fn restore_group(context: &Context, name: &str, gid: u32) -> Result<()> {
    if Accounts::look_up(context.root, name)?.gid.is_none() {
        tool(context, "groupadd")?.args(["--system", "--gid"]).arg(gid.to_string()).arg(name).check()?;
    }
    Ok(())
}
