# A server by pyftpdlib: ADDRESS PORT DIRECTORY CERTIFICATE ["strict"].
import logging
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import FTPServer

# Nobody reads what it has to say of each file.
logging.basicConfig(level=logging.WARNING)
address, port, directory, certificate, strict = sys.argv[1:6]
authorizer = DummyAuthorizer()
authorizer.add_user("bob", "hungry", directory, perm="elradfmwMT")


class Handler(TLS_FTPHandler):
    pass


Handler.authorizer = authorizer
Handler.certfile = certificate
Handler.tls_control_required = Handler.tls_data_required = bool(strict)
FTPServer((address, int(port)), Handler).serve_forever()
