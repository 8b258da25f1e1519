//! A free port of 127.0.0.1 that stays ours.
//!
//! Asking the kernel for a free port and then letting go of it is a race: before the
//! server has started, another process may be given the same number. On Linux a
//! socket that is bound with `SO_REUSEADDR` and never listens settles it. The kernel
//! gives the number to nobody else, connections to it are refused, and a server that
//! sets `SO_REUSEADDR` too, as servers do, can listen on it. So a server that was
//! killed finds its port free when it comes back. Elsewhere the race is lost now and
//! then, and `launch` tries another port.
//!
//! May know of the kernel's sockets, of nothing else.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};

/// Stops listening at once. Closing is not enough: a process that another thread is
/// starting holds a copy of each file descriptor until it runs its program, and for
/// so long the kernel would go on accepting connections that nobody serves.
pub fn hang_up(listener: &TcpListener) {
    // An error means that it does not listen any more.
    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
}

/// A port of 127.0.0.1, reserved until this value is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Never listens; its one task is to be bound.
    #[cfg(target_os = "linux")]
    _reservation: std::os::fd::OwnedFd,
}

impl Port {
    /// A port that the kernel chose.
    ///
    /// # Errors
    /// When the kernel has no free port or no free file descriptor.
    #[cfg(target_os = "linux")]
    pub fn reserve() -> Result<Port> {
        use rustix::net::{bind, getsockname, socket_with, sockopt};
        use rustix::net::{AddressFamily, SocketFlags, SocketType};
        let reserve = || -> rustix::io::Result<Port> {
            let flags = SocketFlags::CLOEXEC;
            let socket =
                socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
            let number = SocketAddrV4::try_from(getsockname(&socket)?)?.port();
            Ok(Port { number, _reservation: socket })
        };
        reserve().context("reserve a port of 127.0.0.1")
    }

    /// A port that the kernel chose, free a moment ago.
    ///
    /// # Errors
    /// When the kernel has no free port or no free file descriptor.
    #[cfg(not(target_os = "linux"))]
    pub fn reserve() -> Result<Port> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .context("reserve a port of 127.0.0.1")?;
        Ok(Port { number: listener.local_addr()?.port() })
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// 127.0.0.1 with this port.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.number))
    }

    /// Listens on this port, in this process.
    ///
    /// # Errors
    /// When somebody listens on it already.
    pub fn listen(&self) -> Result<TcpListener> {
        TcpListener::bind(self.addr())
            .with_context(|| format!("listen on {}", self.addr()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn a_reserved_port_refuses_until_somebody_listens_and_again_afterwards() {
        let port = Port::reserve().expect("a free port");
        assert!(TcpStream::connect(port.addr()).is_err());
        for _ in 0..2 {
            let listener = port.listen().expect("the port is ours");
            assert!(TcpStream::connect(port.addr()).is_ok());
            hang_up(&listener);
            drop(listener);
            assert!(TcpStream::connect(port.addr()).is_err());
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_gives_a_reserved_port_to_nobody_else() {
        let ours = Port::reserve().expect("a free port");
        // More often than there are ephemeral ports by default (28 232).
        for _ in 0..30_000 {
            let other =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let other = other.local_addr().expect("a bound socket has an address");
            assert_ne!(other.port(), ours.number());
        }
    }
}
