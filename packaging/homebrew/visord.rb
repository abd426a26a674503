# The formula of Homebrew: brew install --build-from-source ./packaging/homebrew/visord.rb
class Visord < Formula
  desc "supervisord without the superuser: a per-user service manager"
  homepage "https://github.com/visor-project/visor"
  url "https://github.com/visor-project/visor/archive/v0.1.0.tar.gz"
  license any_of: ["MIT", "Apache-2.0"]
  head "https://github.com/visor-project/visor.git", branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    man1.install Dir["man/*.1"]
    man5.install Dir["man/*.5"]
    man7.install Dir["man/*.7"]
    bash_completion.install "completions/visorctl.bash" => "visorctl"
    zsh_completion.install "completions/_visorctl"
    fish_completion.install "completions/visorctl.fish"
  end

  service do
    run [opt_bin/"visord", "-n"]
    keep_alive crashed: true
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/visorctl --version")
  end
end
