//! A double of `mongos` in front of one replica set: drivers take the server for a sharded cluster, and what such a
//! cluster would refuse is refused.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bson::{Document, doc};

/// Decides about a command on a database: returns the reason if it is refused.
type Judge = dyn Fn(&str, &Document) -> Option<String> + Send + Sync;

const OP_REPLY: i32 = 1;
const OP_MSG: i32 = 2013;
const HEADER: usize = 16;
/// `CommandNotFound`.
const COMMAND_NOT_FOUND: i32 = 59;

/// Members of a `hello` response that only members of a replica set send.
const OF_A_MEMBER: &[&str] = &[
    "arbiterOnly",
    "arbiters",
    "electionId",
    "hosts",
    "isreplicaset",
    "lastWrite",
    "me",
    "passive",
    "passives",
    "primary",
    "secondary",
    "setName",
    "setVersion",
    "tags",
];

/// A running double. It stops accepting when dropped.
pub struct Mongos {
    port: u16,
    refused: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
}

/// Returns the shapes of a command on a database, by its name: `docstore::mongo::command_shapes`.
pub type Shapes = fn(&str, &str, &Document) -> std::collections::BTreeSet<String>;

impl Mongos {
    /// Starts a double in front of the primary of a replica set (`host:port`), which refuses what the table of a sharded
    /// cluster refuses.
    pub fn of_a_sharded_cluster(primary: &str, shapes: Shapes) -> io::Result<Self> {
        let judge = move |database: &str, command: &Document| {
            let name = command.keys().next().cloned().unwrap_or_default();
            // Part of the handshake of each connection.
            if ["hello", "isMaster", "ismaster"].contains(&name.as_str()) {
                return None;
            }
            let shapes = shapes(database, &name, command);
            shapes.iter().find_map(|shape| crate::sharding::refusal(&format!("field-notes\t{shape}"), true))
        };
        Self::start(primary, Arc::new(judge))
    }

    /// Starts a double in front of the primary of a replica set (`host:port`).
    fn start(primary: &str, judge: Arc<Judge>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let refused = Arc::<Mutex<Vec<String>>>::default();
        let stopped = Arc::new(AtomicBool::new(false));
        let double = Self { port, refused: Arc::clone(&refused), stopped: Arc::clone(&stopped) };
        let primary = primary.to_owned();
        thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                let (judge, refused) = (Arc::clone(&judge), Arc::clone(&refused));
                if let Ok(server) = TcpStream::connect(&primary) {
                    let _ = serve(client, server, judge, refused);
                }
            }
        });
        Ok(double)
    }

    /// Returns a connection string.
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.port)
    }

    /// Returns what was refused, each with the reason.
    pub fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Mongos {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Forwards the two directions of a connection on a thread each.
fn serve(
    mut client: TcpStream,
    mut server: TcpStream,
    judge: Arc<Judge>,
    refused: Arc<Mutex<Vec<String>>>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // Replies of both threads are whole messages.
    let to_client = Arc::new(Mutex::new(client.try_clone()?));
    let (mut to_server, from_here) = (server.try_clone()?, Arc::clone(&to_client));
    thread::spawn(move || {
        while let Ok(message) = read_message(&mut client) {
            let sent = match refuse(&message, &*judge) {
                Some((reply, reason)) => {
                    refused.lock().unwrap_or_else(PoisonError::into_inner).push(reason);
                    send(&from_here, &reply)
                }
                None => to_server.write_all(&message),
            };
            if sent.is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        while let Ok(message) = read_message(&mut server) {
            if send(&to_client, &disguise(message)).is_err() {
                break;
            }
        }
        let _ = to_client.lock().unwrap_or_else(PoisonError::into_inner).shutdown(Shutdown::Both);
    });
    Ok(())
}

fn send(to: &Mutex<TcpStream>, message: &[u8]) -> io::Result<()> {
    to.lock().unwrap_or_else(PoisonError::into_inner).write_all(message)
}

fn read_message(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let total = usize::try_from(i32::from_le_bytes(length)).map_err(io::Error::other)?;
    let mut message = vec![0; total.max(HEADER)];
    message[..4].copy_from_slice(&length);
    from.read_exact(&mut message[4..])?;
    Ok(message)
}

fn int(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn size(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(int(bytes, at)?).ok()
}

/// Decodes the document at a position, and returns the position after it.
fn document(bytes: &[u8], at: usize) -> Option<(Document, usize)> {
    let end = at + size(bytes, at)?;
    let document = bson::deserialize_from_slice(bytes.get(at..end)?).ok()?;
    Some((document, end))
}

/// Decodes the command of a message, with the documents of its sequences.
fn command(message: &[u8]) -> Option<Document> {
    if int(message, 12)? != OP_MSG {
        return None;
    }
    let mut at = HEADER + 4;
    let mut command = Document::new();
    while at < message.len() {
        let kind = message[at];
        at += 1;
        if kind == 0 {
            let (body, end) = document(message, at)?;
            // The name of the command comes first.
            let sequences = std::mem::replace(&mut command, body);
            command.extend(sequences);
            at = end;
        } else {
            let end = at + size(message, at)?;
            let name_end = at + 4 + message.get(at + 4..end)?.iter().position(|byte| *byte == 0)?;
            let name = std::str::from_utf8(&message[at + 4..name_end]).ok()?;
            let mut documents = Vec::new();
            let mut next = name_end + 1;
            while next < end {
                let (found, after) = document(message, next)?;
                documents.push(found);
                next = after;
            }
            command.insert(name, documents);
            at = end;
        }
    }
    Some(command)
}

/// Returns the reply to a command that is refused, and the reason.
fn refuse(message: &[u8], judge: &Judge) -> Option<(Vec<u8>, String)> {
    let command = command(message)?;
    let reason = judge(command.get_str("$db").unwrap_or_default(), &command)?;
    let error =
        doc! { "ok": 0.0, "errmsg": &reason, "code": COMMAND_NOT_FOUND, "codeName": "CommandNotFound" };
    let body = bson::serialize_to_vec(&error).ok()?;
    let request = int(message, 4)?;
    Some((op_msg(request, 0, &body), reason))
}

fn op_msg(response_to: i32, flags: i32, body: &[u8]) -> Vec<u8> {
    let mut message = header(HEADER + 5 + body.len(), response_to, OP_MSG);
    message.extend(flags.to_le_bytes());
    message.push(0);
    message.extend(body);
    message
}

fn header(length: usize, response_to: i32, operation: i32) -> Vec<u8> {
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    [length, 0, response_to, operation].into_iter().flat_map(i32::to_le_bytes).collect()
}

/// Turns the `hello` response of a member into that of `mongos`; leaves other messages as they are.
fn disguise(message: Vec<u8>) -> Vec<u8> {
    // The document follows the flags and the kind of the section, or the fixed fields of the old reply.
    let start = match int(&message, 12) {
        Some(OP_MSG) => HEADER + 5,
        Some(OP_REPLY) => HEADER + 20,
        _ => return message,
    };
    let Some((mut hello, _)) = document(&message, start) else { return message };
    if !hello.contains_key("isWritablePrimary") && !hello.contains_key("ismaster") {
        return message;
    }
    for key in OF_A_MEMBER {
        hello.remove(*key);
    }
    hello.insert("msg", "isdbgrid");
    let Ok(body) = bson::serialize_to_vec(&hello) else { return message };
    let mut changed = message[..start].to_vec();
    changed.extend(body);
    let length = i32::try_from(changed.len()).unwrap_or(i32::MAX);
    changed[..4].copy_from_slice(&length.to_le_bytes());
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_of_a_member_becomes_that_of_mongos() {
        let hello = doc! { "isWritablePrimary": true, "setName": "rs0", "maxWireVersion": 17, "ok": 1.0 };
        let changed = disguise(op_msg(7, 0, &bson::serialize_to_vec(&hello).unwrap()));
        assert_eq!((size(&changed, 0), int(&changed, 8)), (Some(changed.len()), Some(7)));
        let (found, _) = document(&changed, HEADER + 5).unwrap();
        assert_eq!(
            found,
            doc! { "isWritablePrimary": true, "maxWireVersion": 17, "ok": 1.0, "msg": "isdbgrid" }
        );
        let other = op_msg(7, 0, &bson::serialize_to_vec(&doc! { "ok": 1.0 }).unwrap());
        assert_eq!(disguise(other.clone()), other);
    }

    #[test]
    fn refused_command_is_answered_with_the_reason() {
        let sent = doc! { "update": "things", "$db": "notes" };
        let mut message = op_msg(0, 0, &bson::serialize_to_vec(&sent).unwrap());
        let statement = bson::serialize_to_vec(&doc! { "q": {} }).unwrap();
        message.push(1);
        message.extend(i32::try_from(4 + 8 + statement.len()).unwrap().to_le_bytes());
        message.extend(b"updates\0");
        message.extend(statement);
        let judge = |database: &str, command: &Document| {
            assert_eq!((database, command.get_array("updates").unwrap().len()), ("notes", 1));
            Some(format!("{} is refused", command.keys().next().unwrap()))
        };
        let (reply, reason) = refuse(&message, &judge).unwrap();
        assert_eq!(reason, "update is refused");
        assert_eq!(document(&reply, HEADER + 5).unwrap().0.get_i32("code").unwrap(), COMMAND_NOT_FOUND);
        assert!(refuse(&message, &|_, _| None).is_none());
    }
}
