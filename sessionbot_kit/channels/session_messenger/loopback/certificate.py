"""Certificates that nobody vouches for, as the nodes of the network have them."""

import datetime
import ssl
import tempfile
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


def node_context() -> ssl.SSLContext:
    """TLS of a storage node: RSA, for `localhost`, without any alternative name."""
    return _context(None)[0]


def seed_context() -> tuple[ssl.SSLContext, str]:
    """TLS of a seed, and the certificate that its clients have pinned."""
    return _context("127.0.0.1")


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@cache
def _context(address: str | None) -> tuple[ssl.SSLContext, str]:
    key = _key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=10_000))
    )
    if address is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = builder.add_extension(names, critical=False).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder) / "chain.pem"  # ssl reads certificates from files only
        chain.write_bytes(secret + pem)
        context.load_cert_chain(chain)
    return context, pem.decode("ascii")
